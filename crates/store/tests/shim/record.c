/* Records what a process asks of the files of one directory, so that a test can work out what a disk
 * would hold had the machine lost power at any moment. Preloaded before libc.
 *
 * WATCHFIRE_DISK_DIRECTORY: the directory. WATCHFIRE_DISK_TRACE: where the record goes.
 * A record: kind (1 byte), offset or length (8), inode (8), length of the name (4), length of the
 * data (4), name, data; numbers in the machine's byte order. Kinds:
 *   C a name was opened and may have been made   W bytes were written at an offset
 *   T a file was cut or stretched                S a file, or the directory, was synced
 *   U a name was removed                         A a line went to standard output
 * Shared memory (-shm) is left out: it is made anew after a crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_length;
static int trace = -1;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);

__attribute__((constructor)) static void start(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_open = dlsym(RTLD_NEXT, "open");
    real_openat = dlsym(RTLD_NEXT, "openat");
    directory = getenv("WATCHFIRE_DISK_DIRECTORY");
    const char *file = getenv("WATCHFIRE_DISK_TRACE");
    if (!directory || !file) _exit(101);
    directory_length = strlen(directory);
    trace = real_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) _exit(102);
}

static void put(const void *bytes, size_t length) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = real_write(trace, at, length);
        if (done <= 0) _exit(103);
        at += done;
        length -= (size_t)done;
    }
}

static void record(char kind, uint64_t at, uint64_t inode, const char *name, const void *data,
                   size_t length) {
    char head[25];
    uint32_t name_length = (uint32_t)strlen(name), data_length = (uint32_t)length;
    head[0] = kind;
    memcpy(head + 1, &at, 8);
    memcpy(head + 9, &inode, 8);
    memcpy(head + 17, &name_length, 4);
    memcpy(head + 21, &data_length, 4);
    put(head, sizeof head);
    put(name, name_length);
    put(data, length);
}

/* The name inside the directory, "" for the directory itself, NULL for what is not ours. */
static const char *ours(const char *path) {
    if (strncmp(path, directory, directory_length) != 0) return NULL;
    const char *name = path + directory_length;
    if (*name == 0) return name;
    if (*name != '/') return NULL;
    size_t length = strlen(name);
    if (length >= 4 && strcmp(name + length - 4, "-shm") == 0) return NULL;
    return name + 1;
}

static const char *ours_fd(int fd, char *path, uint64_t *inode) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    struct stat stat;
    if (length < 0 || fstat(fd, &stat) != 0) return NULL;
    path[length] = 0;
    *inode = stat.st_ino;
    return ours(path);
}

static ssize_t recorded(int fd, const void *data, ssize_t done, off_t at) {
    char path[PATH_MAX];
    uint64_t inode;
    const char *name = done > 0 ? ours_fd(fd, path, &inode) : NULL;
    if (name) record('W', (uint64_t)at, inode, name, data, (size_t)done);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    pthread_mutex_lock(&lock);
    off_t at = fd > 2 ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real_write(fd, data, length);
    int error = errno;
    if (fd == 1 && done > 0) record('A', 0, 0, "", data, (size_t)done);
    else if (fd > 2) recorded(fd, data, done, at);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    pthread_mutex_lock(&lock);
    ssize_t done = real_pwrite(fd, data, length, at);
    int error = errno;
    recorded(fd, data, done, at);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) {
    return pwrite(fd, data, length, at);
}

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];
    uint64_t inode;
    pthread_mutex_lock(&lock);
    int done = real_ftruncate(fd, length);
    int error = errno;
    const char *name = done == 0 ? ours_fd(fd, path, &inode) : NULL;
    if (name) record('T', (uint64_t)length, inode, name, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

static int synced(int fd, int (*sync)(int)) {
    char path[PATH_MAX];
    uint64_t inode;
    pthread_mutex_lock(&lock);
    int done = sync(fd);
    int error = errno;
    const char *name = done == 0 ? ours_fd(fd, path, &inode) : NULL;
    if (name) record('S', 0, inode, name, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int done = real_unlink(path);
    int error = errno;
    const char *name = done == 0 ? ours(path) : NULL;
    if (name) record('U', 0, 0, name, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

static int opened(int fd, int flags) {
    char path[PATH_MAX];
    uint64_t inode;
    int error = errno;
    const char *name = fd >= 0 && (flags & O_CREAT) ? ours_fd(fd, path, &inode) : NULL;
    if (name) record('C', 0, inode, name, "", 0);
    errno = error;
    return fd;
}

#define MODE                                   \
    mode_t mode = 0;                           \
    if (flags & (O_CREAT | O_TMPFILE)) {       \
        va_list rest;                          \
        va_start(rest, flags);                 \
        mode = va_arg(rest, mode_t);           \
        va_end(rest);                          \
    }

int open(const char *path, int flags, ...) {
    MODE
    pthread_mutex_lock(&lock);
    int fd = opened(real_open(path, flags, mode), flags);
    pthread_mutex_unlock(&lock);
    return fd;
}

int open64(const char *path, int flags, ...) {
    MODE
    return open(path, flags | O_LARGEFILE, mode);
}

int openat(int at, const char *path, int flags, ...) {
    MODE
    pthread_mutex_lock(&lock);
    int fd = opened(real_openat(at, path, flags, mode), flags);
    pthread_mutex_unlock(&lock);
    return fd;
}

int openat64(int at, const char *path, int flags, ...) {
    MODE
    return openat(at, path, flags | O_LARGEFILE, mode);
}

/* The store must not use these unseen. */
int rename(const char *from, const char *to) { (void)from, (void)to; _exit(104); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) {
    (void)fd, (void)v, (void)n, (void)at;
    _exit(105);
}
int fallocate(int fd, int mode, off_t at, off_t length) {
    (void)fd, (void)mode, (void)at, (void)length;
    _exit(106);
}
