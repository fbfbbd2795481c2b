//! The descriptors that programs of a node find open.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::FdFlags;

/// Keeps what the calling process has open from the programs that it executes from now on, but for the standard streams.
///
/// A program opens its files so anyway (`O_CLOEXEC`); this is for what it was given by whoever executed it. A daemon that
/// inherited the end of a pipe would keep the reader of the pipe waiting for as long as the daemon lives.
///
/// # Errors
/// When /proc is not mounted.
pub fn keep_descriptors() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        let Some(number) = number.filter(|number| *number > 2) else {
            continue;
        };
        // SAFETY: the descriptor is used for this one call, which only changes a flag of it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        // The one that the folder is read by may be closed by now.
        let _gone = rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC);
    }
    Ok(())
}
