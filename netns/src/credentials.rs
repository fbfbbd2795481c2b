//! Whose rights a program has.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Gid, Uid};

/// A user and its groups, by number (credentials(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
}

impl Credentials {
    pub(crate) fn apply(self, command: &mut Command) {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.into_iter().map(Gid::from_raw).collect();
        // SAFETY: the closure allocates nothing and makes async-signal-safe system calls. They change the calling thread
        // only, which is all there is between fork and exec.
        unsafe {
            command.pre_exec(move || {
                rustix::thread::set_thread_groups(&groups)?;
                rustix::thread::set_thread_res_gid(gid, gid, gid)?;
                rustix::thread::set_thread_res_uid(uid, uid, uid)?;
                Ok(())
            })
        };
    }
}
