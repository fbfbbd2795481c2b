//! Nodes as the scripts of test suites expect them.

use std::time::{Duration, Instant};

use ofm_tests::{Place, other_release, wait_until_gone};
use serde_json::Value;

use crate::traffic::GRACE;
use crate::versions::PACKAGES;

/// A shell script in a node, which must succeed; returns what it wrote.
fn sh(place: &Place, node: &str, script: &str) -> anyhow::Result<String> {
    let run = place.run(&["exec", node, "--", "sh", "-euc", script]);
    Ok(run?.trim().to_owned())
}

fn status(place: &Place) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&place.run(&["status", "--json"])?)?)
}

/// A daemon of a node, as `ofm status` shows it: its number, and whether it runs.
fn daemon(status: &Value, node: &str, daemon: &str) -> (i64, bool) {
    let find = |all: &Value, name: &str| {
        let mut all = all.as_array().cloned().unwrap_or_default().into_iter();
        all.find(|one| one["name"] == name).unwrap_or_default()
    };
    let found = find(&find(&status["nodes"], node)["daemons"], daemon);
    let number = found["pid"].as_i64().unwrap_or(0);
    (number, found["alive"] == true)
}

const CENTRAL: &str = "ovn-central-az1";
const CHASSIS: &str = "ovn-chassis-1";
const OVN_CTL: &str = "/usr/share/ovn/scripts/ovn-ctl";
/// What ovn-ctl has to be told of certificates.
const KEYS: &str = "--ovn-controller-ssl-key=/opt/ovn/ovn-privkey.pem --ovn-controller-ssl-cert=/opt/ovn/ovn-cert.pem \
                    --ovn-controller-ssl-ca-cert=/opt/ovn/pki/switchca/cacert.pem";

/// All daemons of all nodes have the variables that were asked for, also those that come later, and so has what is run.
pub(crate) fn environment(place: &Place) -> anyhow::Result<()> {
    let variable = "OFM_TEST=two words";
    let small = ["--chassis", "1", "--gateways", "0", "--no-fake-vms"];
    place.run(&[&["start", "--env", variable][..], &small].concat())?;
    place.run(&["add-chassis", "late"])?;
    place.run(&["restart", CHASSIS, "ovs-vswitchd"])?;
    let script = format!(
        "for file in /run/ovn/*.pid /run/openvswitch/*.pid; do
             test -e $file || continue
             tr '\\0' '\\n' < /proc/$(cat $file)/environ | grep -qx '{variable}'
             basename $file
         done
         env | grep -x '{variable}'"
    );
    for (node, daemon) in [
        (CENTRAL, "ovn-northd.pid"),
        (CHASSIS, "ovs-vswitchd.pid"),
        ("late", "ovn-controller.pid"),
    ] {
        let seen = sh(place, node, &script)?;
        assert!(seen.contains(daemon), "{node}: {seen}");
    }
    let file = place.run(&["export"])?;
    assert!(file.contains("[env]\nOFM_TEST = \"two words\""), "{file}");
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// ovn-ctl(8) and ovs-ctl(8) stop and start what ofm has started, ofm sees it, and takes it over again.
pub(crate) fn scripts(place: &Place) -> anyhow::Result<()> {
    place.run(&["start", "--no-fake-vms"])?;
    let before = status(place)?;

    let script =
        format!("rm /etc/ovn/ovnnb_db.db; {OVN_CTL} restart_northd; ovn-nbctl --wait=sb sync");
    sh(place, CENTRAL, &script)?;
    let after = status(place)?;
    for name in ["ovsdb-server-nb", "ovsdb-server-sb", "ovn-northd"] {
        let ((old, _), (new, alive)) = (
            daemon(&before, CENTRAL, name),
            daemon(&after, CENTRAL, name),
        );
        assert!(alive && new != old, "{name}: {old}, then {new}: {after:#}");
    }
    // The one that a script has started is ended, and not joined by another one.
    place.run(&["restart", CENTRAL, "ovn-northd"])?;
    sh(place, CENTRAL, "test $(pgrep -cx ovn-northd) = 1")?;

    // One that is killed stays dead, as the script then says too, until the script starts it.
    sh(place, CHASSIS, "kill -9 $(cat /run/ovn/ovn-controller.pid)")?;
    let began = Instant::now();
    while daemon(&status(place)?, CHASSIS, "ovn-controller").1 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it is still shown alive"
        );
    }
    sh(place, CHASSIS, &format!("! {OVN_CTL} status_controller"))?;
    sh(
        place,
        CHASSIS,
        &format!("{OVN_CTL} start_controller {KEYS}; {OVN_CTL} status_controller"),
    )?;
    assert!(daemon(&status(place)?, CHASSIS, "ovn-controller").1);
    let script = format!(
        "{OVN_CTL} stop_controller; ! pgrep -x ovn-controller; {OVN_CTL} start_controller {KEYS}"
    );
    sh(place, CHASSIS, &script)?;

    // With the same database, so with all that was configured.
    let ovs_ctl = "/usr/share/openvswitch/scripts/ovs-ctl";
    let script = format!(
        "{ovs_ctl} stop; ! {ovs_ctl} status; {ovs_ctl} start --system-id={CHASSIS}; {ovs_ctl} status"
    );
    sh(place, CHASSIS, &script)?;
    let began = Instant::now();
    let settled = loop {
        let status = status(place)?;
        if status["ready"] == true || began.elapsed() > Duration::from_secs(30) {
            break status;
        }
    };
    assert_eq!(settled["ready"], true, "{settled:#}");
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// `/data/create_fake_vm.sh` makes VMs that reach each other, also anew, and eth1 comes back as it was.
pub(crate) fn fake_vms(place: &Place) -> anyhow::Result<()> {
    place.run(&["start", "--no-fake-vms"])?;
    let ports = |k: u32| format!("50:54:00:00:00:0{k} 10.0.0.{k} 1000::{k}");
    let script = format!(
        "ovn-nbctl ls-add sw0 -- lsp-add sw0 p3 -- lsp-set-addresses p3 '{}' \
         -- lsp-add sw0 p4 -- lsp-set-addresses p4 '{}' \
         -- lr-add lr0 -- lrp-add lr0 lr0-sw0 00:00:00:00:ff:01 10.0.0.1/24 1000::a/64 \
         -- lsp-add sw0 sw0-lr0 -- lsp-set-type sw0-lr0 router -- lsp-set-addresses sw0-lr0 router \
         -- lsp-set-options sw0-lr0 router-port=lr0-sw0",
        ports(3),
        ports(4)
    );
    sh(place, CENTRAL, &script)?;
    let vm = |k: u32, node: &str| {
        let script = format!(
            "/data/create_fake_vm.sh p{k} vm{k} 50:54:00:00:00:0{k} 1342 10.0.0.{k} 24 10.0.0.1 1000::{k}/64 1000::a"
        );
        sh(place, node, &script)
    };
    let ping = |address: &str| {
        let script = format!("ip netns exec vm3 ping -c 1 -w 10 {address}");
        sh(place, CHASSIS, &script)
    };
    vm(3, CHASSIS)?;
    vm(4, "ovn-chassis-2")?;
    let settled = "for port in p3 p4; do ovn-nbctl wait-until Logical_Switch_Port $port up=true; done; \
                   ovn-nbctl --wait=hv sync";
    sh(place, CENTRAL, settled)?;
    // The very first packet between two chassis arrives, also through a tunnel in userspace.
    sh(place, CHASSIS, "ip netns exec vm3 ping -c 1 -W 2 10.0.0.4")?;
    for address in ["10.0.0.4", "1000::4", "10.0.0.1", "1000::a"] {
        ping(address)?;
    }
    // As test suites clean up between tests.
    for node in [CHASSIS, "ovn-chassis-2"] {
        sh(
            place,
            node,
            "ip --all netns delete; ovs-vsctl del-br br-int",
        )?;
    }
    vm(3, CHASSIS)?;
    vm(4, "ovn-chassis-2")?;
    ping("10.0.0.4")?;
    // What cannot be is said.
    assert!(vm(3, CHASSIS).is_err(), "it made the same VM twice");
    sh(place, CHASSIS, "! /data/create_fake_vm.sh p3 2>/dev/null")?;

    let look = "ip -o addr show dev eth1 scope global; ip route show dev eth1";
    let before = sh(place, CHASSIS, look)?;
    sh(place, CHASSIS, "ip link set eth1 down; ip link set eth1 up")?;
    assert_eq!(sh(place, CHASSIS, look)?, before);
    ping("10.0.0.4")?;
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}

/// Where FRR is installed, scripts start and stop it as if systemd did.
pub(crate) fn frr(place: &Place) -> anyhow::Result<()> {
    let root = other_release(&PACKAGES)?;
    let root = root.to_string_lossy();
    place.run(&["start", "--no-fake-vms", "--chassis-ovn", &root])?;
    let state = || {
        sh(
            place,
            CHASSIS,
            "systemctl is-active frr || test $? = 3; pgrep -cx zebra || true",
        )
    };
    assert_eq!(state()?, "inactive\n0");
    sh(place, CHASSIS, "systemctl start frr")?;
    assert_eq!(state()?, "active\n1");
    let with_bgp = "sed -i s/^bgpd=no/bgpd=yes/ /etc/frr/daemons; systemctl restart frr.service; \
                    vtysh -c 'show daemons'";
    let daemons = sh(place, CHASSIS, with_bgp)?;
    assert!(daemons.contains("bgpd"), "{daemons}");
    sh(place, CHASSIS, "systemctl status frr")?;
    // The others have an FRR of their own, which nobody has started.
    let other = sh(
        place,
        "ovn-chassis-2",
        "systemctl is-active frr || test $? = 3",
    );
    assert_eq!(other?, "inactive");
    sh(place, CHASSIS, "systemctl stop frr")?;
    assert_eq!(state()?, "inactive\n0");

    let refused = sh(place, CHASSIS, "systemctl start ssh").expect_err("it is not FRR");
    let said = refused.to_string();
    assert!(said.contains("only the service frr is known"), "{said}");
    sh(place, CHASSIS, "systemctl start frr")?;
    place.run(&["stop"])?;
    wait_until_gone(place, GRACE)?;
    Ok(())
}
