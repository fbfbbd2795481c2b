//! Starts a cluster with a topology of its own: one switch and one router, and two VMs on two chassis.
//!
//! Needs root and the programs of Open vSwitch and OVN: `sudo -E cargo run -p ofm --example topology`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use ofm::topology::VmSpec;
use ofm::{Cluster, Topology};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut topology = Topology::new();
    let switch = topology.switch("sw0");
    let router = topology.router("lr0");
    let network = "10.0.0.1/24".parse()?;
    topology.connect(router, switch, "00:00:00:00:ff:01".parse()?, &[network]);
    for chassis in 1..=2 {
        let vm = VmSpec {
            name: format!("vm{chassis}"),
            port: format!("sw0-vm{chassis}"),
            chassis,
            mac: format!("50:54:00:00:00:0{chassis}").parse()?,
            addresses: vec![format!("10.0.0.1{chassis}/24").parse()?],
            gateways: vec![network.addr()],
            ..VmSpec::default()
        };
        topology.vm(switch, vm);
    }

    let name = format!("topology-{}", std::process::id()).parse()?;
    let builder = Cluster::builder().name(name).topology(topology);
    let cluster = builder.start().await?;
    let vm = cluster.vm("vm1")?;
    println!("vm1 to vm2: {:.1?}", vm.ping("10.0.0.12".parse()?).await?);
    println!("vm1 to lr0: {:.1?}", vm.ping(network.addr()).await?);
    cluster.stop().await?;
    Ok(())
}
