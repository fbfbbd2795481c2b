//! A handle on a fake VM: a network namespace inside a node, bound to a logical switch port.

use std::ffi::OsString;
use std::net::IpAddr;
use std::time::Duration;

use ofm_netns::{Namespaces, Output};

use crate::error::Error;
use crate::node::{NodeHandle, blocking};
use crate::ping;
use crate::plan::VmPlan;

/// A fake VM of a cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Vm {
    pub(crate) plan: VmPlan,
    pub(crate) node: NodeHandle,
    pub(crate) namespaces: Namespaces,
}

impl Vm {
    /// What was planned for it: port, addresses, node.
    pub fn plan(&self) -> &VmPlan {
        &self.plan
    }

    /// The node it is on.
    pub fn node(&self) -> &NodeHandle {
        &self.node
    }

    /// Sends ICMP echo requests, by a socket of our own in the VM's namespace, until one is answered; returns the round
    /// trip of that one. Requests follow each other every 100 ms, because the first ones may be lost while the datapaths
    /// learn their neighbours.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after 5 seconds.
    pub async fn ping(&self, address: IpAddr) -> Result<Duration, Error> {
        self.ping_within(address, ping::DEADLINE).await
    }

    /// [`Vm::ping`] with a patience of its own, for machines that are slow or addresses that come late.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] after that time.
    pub async fn ping_within(&self, address: IpAddr, within: Duration) -> Result<Duration, Error> {
        ping::ping(&self.plan.name, self.namespaces.clone(), address, within).await
    }

    /// Runs a program in it, as [`NodeHandle::exec`] does in a node.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn exec<A: Into<OsString>>(
        &self,
        argv: impl IntoIterator<Item = A>,
    ) -> Result<Output, Error> {
        let mut argv = argv.into_iter().map(Into::into);
        let program = argv.next().unwrap_or_default();
        let command = self.node.command(program).args(argv);
        let command = command.namespaces(self.namespaces.clone());
        let child = blocking(move || command.spawn()).await?;
        Ok(child.output().await?)
    }

    /// Runs code on a thread in the VM's namespaces. Sockets made there stay there, whoever uses them afterwards.
    ///
    /// # Errors
    /// When the node is gone.
    pub async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let namespaces = self.namespaces.clone();
        Ok(blocking(move || namespaces.run(f)).await?)
    }
}
