//! Topology files, and clusters that follow them.

use anyhow::Context;
use ofm_tests::{Place, wait_until_gone};

use crate::traffic::GRACE;

const BEFORE: &str = r#"
chassis = 2
gateways = 0
tls = false
interconnection = false

[[switch]]
name = "sw0"

[[vm]]
name = "vm1"
switch = "sw0"
chassis = 1
addresses = ["10.0.0.1/24"]

[[vm]]
name = "vm2"
switch = "sw0"
chassis = 2
addresses = ["10.0.0.2/24"]
"#;

/// A chassis more, a router and a switch more with two VMs, one VM moved, one gone.
const AFTER: &str = r#"
chassis = 3
gateways = 0
tls = false
interconnection = false
monitor_all = true

[[switch]]
name = "sw0"

[[switch]]
name = "sw1"
dhcp = { subnet = "10.0.1.0/24", router = "10.0.1.1", exclude = ["10.0.1.1", "10.0.1.9"] }

[[router]]
name = "lr0"
ports = [
  { switch = "sw0", mac = "00:00:00:00:ff:01", networks = ["10.0.0.254/24"] },
  { switch = "sw1", mac = "00:00:00:00:ff:02", networks = ["10.0.1.1/24"] },
]

[[vm]]
name = "vm1"
switch = "sw0"
chassis = 3
addresses = ["10.0.0.1/24"]
gateways = ["10.0.0.254"]

[[vm]]
name = "vm3"
switch = "sw1"
chassis = 2
dhcp = true

[[vm]]
name = "vm4"
switch = "sw0"
chassis = 1
addresses = ["10.0.0.4/24"]
"#;

pub(crate) fn applied(place: &Place) -> anyhow::Result<()> {
    let (before, after) = (
        place.root().join("before.toml"),
        place.root().join("after.toml"),
    );
    std::fs::write(&before, BEFORE)?;
    std::fs::write(&after, AFTER)?;
    let (before, after) = (before.to_string_lossy(), after.to_string_lossy());
    place.run(&["start", "-f", &before])?;
    let exported = place.run(&["export"])?;
    assert_eq!(
        place.run(&["apply", "-f", &before])?.trim(),
        "nothing to change"
    );

    let done: serde_json::Value =
        serde_json::from_str(&place.run(&["apply", "--json", "-f", &after])?)?;
    let expected = serde_json::json!({
        "added": ["ovn-chassis-3"],
        "stopped": [],
        "vms_added": ["vm1", "vm3", "vm4"],
        "vms_removed": ["vm1", "vm2"],
        "reconfigured": true,
        "rows": done["rows"],
    });
    assert_eq!(done, expected);
    let status: serde_json::Value = serde_json::from_str(&place.run(&["status", "--json"])?)?;
    assert_eq!(status["ready"], true, "{status:#}");
    let ping = |node: &str, vm: &str, address: &str| {
        let script = format!("ip netns exec {vm} ping -c 1 -w 5 {address}");
        place.run(&["exec", node, "--", "sh", "-c", &script])
    };
    let lease = status["vms"].as_array().context("no VMs")?;
    let lease = lease
        .iter()
        .find(|vm| vm["name"] == "vm3")
        .context("no vm3")?;
    let lease = lease["ips"][0].as_str().context("no lease")?;
    ping("ovn-chassis-3", "vm1", "10.0.0.4")?;
    ping("ovn-chassis-3", "vm1", lease.trim_end_matches("/24"))?;
    ping("ovn-chassis-2", "vm3", "10.0.0.1")?;
    let all = "ovs-vsctl get open . external_ids:ovn-monitor-all";
    assert!(
        place
            .run(&["exec", "ovn-chassis-1", "--", "sh", "-c", all])?
            .contains("true")
    );
    assert_eq!(
        place.run(&["apply", "-f", &after])?.trim(),
        "nothing to change"
    );

    // A VM that has another address is made anew where it is.
    let other = std::fs::read_to_string(place.root().join("after.toml"))?;
    std::fs::write(
        place.root().join("after.toml"),
        other.replace("10.0.0.4/24", "10.0.0.40/24"),
    )?;
    place.run(&["apply", "-f", &after])?;
    ping("ovn-chassis-3", "vm1", "10.0.0.40")?;

    // What the cluster cannot become is refused, all of it, and changes nothing.
    let output = place
        .ofm(&["apply", "-f", &after, "--mtu", "9000", "--db", "raft"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("MTU") && text.contains("kind of databases"),
        "{text}"
    );

    // And back to what it was.
    place.run(&["apply", "-f", &before])?;
    assert_eq!(place.run(&["export"])?, exported);
    ping("ovn-chassis-1", "vm1", "10.0.0.2")?;
    let switches = "ovn-nbctl --no-headings --columns=name list logical_switch";
    let switches = place.run(&["exec", "ovn-central-az1", "--", "sh", "-c", switches])?;
    assert!(
        switches.contains("sw0") && !switches.contains("sw1"),
        "{switches}"
    );
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}
