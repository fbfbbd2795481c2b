//! Starts a cluster with the two VMs of the demo, pings from one to the other, and stops it.
//!
//! Needs root and the programs of Open vSwitch and OVN: `sudo -E cargo run -p ofm --example two_vms`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::net::IpAddr;

use ofm::Cluster;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Clusters of different names run side by side, so this one gets in nobody's way.
    let name = format!("two-vms-{}", std::process::id());
    let cluster = Cluster::builder().name(name.parse()?).start().await?;

    let vm = cluster.vm("sw01p1")?;
    for address in ["21.0.0.3", "2001::3"] {
        let address: IpAddr = address.parse()?;
        let round_trip = vm.ping(address).await?;
        println!("sw01p1 to {address}: {round_trip:.1?}");
    }
    // An early return above ends the cluster as well: it is tied to its handle and to this process.
    cluster.stop().await?;
    Ok(())
}
