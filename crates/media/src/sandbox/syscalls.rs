//! Leaves a process the system calls of a decoder: memory, threads, clocks, and files read-only.
//!
//! **Invariant:** no sockets, no new processes, no writing opens, no tracing, no mounts, no keys.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Calls that are allowed whatever their arguments are.
const ALLOWED: &[c_long] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Files that are open, and looking for files.
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pselect6,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
    // Becoming the program. Landlock says which one; where it is missing, a program that is
    // executed next is under these same rules.
    libc::SYS_execve,
    // Threads, once they exist.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_get_robust_list,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Signals to itself.
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Clocks and facts.
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_nanosleep,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
];

/// Older names of calls in [`ALLOWED`] that only this architecture has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLD: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_getdents,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLD: &[c_long] = &[];

/// Flags of an open that would change something.
const WRITING: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;

/// Why the filter could not be put in place.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyscallsError {
    #[error(transparent)]
    Filter(#[from] seccompiler::BackendError),
    #[error(transparent)]
    Apply(#[from] seccompiler::Error),
}

/// Restricts the calling thread and what it will execute. Everything else answers "not permitted".
pub(super) fn restrict() -> Result<(), SyscallsError> {
    // The C library starts threads with clone3, whose flags a filter cannot see; told that it does
    // not exist, it uses clone. Of two filters the one that refuses wins.
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, vec![])]);
    apply(no_clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    apply(allowed()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

fn apply(
    rules: BTreeMap<c_long, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), SyscallsError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

fn allowed() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, SyscallsError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_OLD).map(|call| (*call, vec![])).collect();
    rules.insert(libc::SYS_clone3, vec![]);
    let threads = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, vec![when(0, SeccompCmpOp::MaskedEq(threads), threads)?]);
    let opens = |flags| when(flags, SeccompCmpOp::MaskedEq(WRITING as u64), libc::O_RDONLY as u64);
    rules.insert(libc::SYS_openat, vec![opens(2)?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![opens(1)?]);
    // Limits may be read, not set: the third argument is the new one.
    rules.insert(libc::SYS_prlimit64, vec![when(2, SeccompCmpOp::Eq, 0)?]);
    let name = when(0, SeccompCmpOp::Eq, libc::PR_SET_NAME as u64)?;
    rules.insert(libc::SYS_prctl, vec![name]);
    rules.insert(libc::SYS_ioctl, vec![when(1, SeccompCmpOp::Eq, libc::TCGETS)?]);
    // Ending itself, as `abort` does.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, own)?]);
    Ok(rules)
}

/// A rule on one argument.
fn when(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, SyscallsError> {
    let length = SeccompCmpArgLen::Qword;
    Ok(SeccompRule::new(vec![SeccompCondition::new(argument, length, operator, value)?])?)
}
