//! A fork without exec, for the processes that only hold namespaces.

use std::ffi::CStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A process made by [`clone_process`].
pub(crate) struct Cloned {
    /// Its number as the caller sees it.
    pub(crate) pid: i32,
    /// A pidfd that the kernel handed out together with the process: it cannot mean another one.
    pub(crate) pidfd: OwnedFd,
}

/// Copies the calling process into new namespaces (`CLONE_NEW*` flags) and runs `child` in the copy.
///
/// clone3(2) is used because its arguments are the same on every architecture and because `CLONE_PIDFD` leaves no moment
/// in which the process could be confused with another. The exit signal is none, so that a host program which handles
/// `SIGCHLD` or waits for any child never notices ours; it has to be waited for by pidfd with `__WALL`.
///
/// # Safety
/// The caller may have other threads, whose locks are copied in whatever state they are in. So `child` must not allocate,
/// must not panic, and must call nothing but async-signal-safe functions (signal-safety(7)) until it ends the process.
pub(crate) unsafe fn clone_process<F>(flags: libc::c_int, child: F) -> io::Result<Cloned>
where
    F: FnOnce(),
{
    let mut pidfd: RawFd = -1;
    // SAFETY: all-zero is a valid clone_args: no stack (keep the copy of ours), no TLS, no set_tid, no cgroup.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags as u64 | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    // SAFETY: `args` is a valid structure of the given size and `pidfd` outlives the call. Without CLONE_VM the child has
    // its own copy of this stack frame and continues right here.
    let result = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of_val(&args)) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            child();
            exit_now(0)
        }
        pid => Ok(Cloned {
            pid: pid as i32,
            // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Ends a process made by [`clone_process`] without running anything that belongs to its parent.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: _exit(2) is async-signal-safe and does not return.
    unsafe { libc::_exit(status) }
}

/// Makes the process what a holder of namespaces should be: deaf, childless and without a terminal.
///
/// - a session of its own, so that ^C at the caller's terminal does not reach it,
/// - children are reaped by the kernel (`SIGCHLD` ignored, sigaction(2)),
/// - every descriptor but those of `keep` is closed: a holder that kept the caller's end of a pipe would keep that pipe
///   from ever ending,
/// - the working directory is `/`.
///
/// ps(1) shows it by `name`, of which the kernel keeps 15 bytes. `keep` must be sorted. Only async-signal-safe calls are
/// made.
pub(crate) fn become_holder(name: &CStr, keep: &[RawFd]) {
    // SAFETY: PR_SET_NAME reads a C string, which outlives the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    // SAFETY: setsid(2) is async-signal-safe; it fails only for a group leader, which a new process is not.
    unsafe { libc::setsid() };
    // SAFETY: signal(2) with SIG_IGN installs no handler; it is async-signal-safe.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    // SAFETY: chdir(2) on a literal.
    unsafe { libc::chdir(c"/".as_ptr()) };
    let mut first: u32 = 0;
    for &fd in keep {
        let fd = fd as u32;
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: this process has a descriptor table of its own (no CLONE_FILES) and uses none of these any more.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// Blocks every signal of the calling thread, and thereby of the processes that it will clone.
///
/// Without it a handler of the host program could run in the copy.
pub(crate) fn block_signals() {
    // SAFETY: all-zero is a valid sigset_t to be filled.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is a valid set.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: `all` is initialised; the old mask is not asked for. Only the calling thread, which ends soon, is changed.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut()) };
}

/// Sleeps until the process is killed.
pub(crate) fn hold() -> ! {
    loop {
        // SAFETY: pause(2) is async-signal-safe and takes nothing.
        unsafe { libc::pause() };
    }
}
