/* Stands between a node and its machine: a clock that is wrong by as many seconds as a file says, and a disk on which
 * no file grows while another file is there. Loaded before the C library; what it does not know goes to the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int answer = (int)syscall(SYS_clock_gettime, clock, now);
    const char *path = getenv("MACHINE_CLOCK");
    if (answer != 0 || clock != CLOCK_REALTIME || path == NULL) return answer;
    int kept = errno;
    char text[32] = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, text, sizeof text - 1) > 0) now->tv_sec += atol(text);
    if (file >= 0) close(file);
    errno = kept;
    return answer;
}

static int is_full(int file, off_t end) {
    const char *path = getenv("MACHINE_FULL");
    struct stat found;
    if (path == NULL || file <= 2 || access(path, F_OK) != 0) return 0;
    if (fstat(file, &found) != 0 || !S_ISREG(found.st_mode) || end <= found.st_size) return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    if (is_full(file, at + (off_t)count)) return -1;
    return syscall(SYS_pwrite64, file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return pwrite(file, bytes, count, at);
}

ssize_t write(int file, const void *bytes, size_t count) {
    off_t at = file > 2 ? lseek(file, 0, SEEK_CUR) : -1;
    if (at >= 0 && is_full(file, at + (off_t)count)) return -1;
    return syscall(SYS_write, file, bytes, count);
}
