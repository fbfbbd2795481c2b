//! Batches in the namespaces of keepers. Needs root.

use std::error::Error as _;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use ofm_netns::{Keeper, Namespaces, create_tap};
use ofm_underlay::{
    Batch, BatchError, LOOPBACK, Netlink, OpenError, VethEnd, has_openvswitch_datapath,
};

const DEADLINE: Duration = Duration::from_secs(20);

fn end(name: String, index: u32) -> VethEnd {
    VethEnd {
        name,
        index,
        mac: None,
        mtu: None,
        controller: None,
    }
}

fn read(namespaces: &Namespaces, path: &str) -> String {
    let text = namespaces.run(|| std::fs::read_to_string(path));
    text.expect("entering").expect(path)
}

fn refusals(error: BatchError) -> (ofm_underlay::RequestError, usize) {
    match error {
        BatchError::Refused { first, others } => (*first, others.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_links_on_a_bridge() {
    let (near, far) = (Keeper::create(&[]).unwrap(), Keeper::create(&[]).unwrap());
    let peer_netns = far.underlay().network_fd().unwrap();
    let mut batch = Batch::new();
    batch.up(LOOPBACK, "lo").bridge("br0", 10);
    batch.address(10, "br0", "192.0.2.254/24".parse().unwrap());
    for i in 0..100 {
        let here = VethEnd {
            controller: Some(10),
            ..end(format!("port{i}"), 100 + i)
        };
        let peer = VethEnd {
            mac: Some([2, 0, 0, 0, 0, i as u8]),
            mtu: Some(1400),
            ..end(format!("eth{i}"), 500 + i)
        };
        batch.veth(&here, &peer, peer_netns.as_fd());
    }
    // The batch has its own.
    drop(peer_netns);
    let outer = Netlink::open(&near.underlay()).unwrap();
    outer.apply(batch, DEADLINE).await.unwrap();

    let mut batch = Batch::new();
    batch.up(LOOPBACK, "lo");
    for i in 0..100 {
        let name = format!("eth{i}");
        batch.quiet(500 + i, &name).up(500 + i, &name);
        batch.address(
            500 + i,
            &name,
            format!("192.0.2.{}/24", i + 1).parse().unwrap(),
        );
        batch.address(
            500 + i,
            &name,
            format!("2001:db8::{i:x}/64").parse().unwrap(),
        );
    }
    assert_eq!(batch.len(), 401);
    batch.default_route("192.0.2.254".parse().unwrap(), 500);
    batch.default_route("2001:db8::ffff".parse().unwrap(), 501);
    let inner = Netlink::open(&far.underlay()).unwrap();
    inner.apply(batch, DEADLINE).await.unwrap();

    let far = far.underlay();
    let addresses = read(&far, "/proc/thread-self/net/if_inet6");
    assert!(!addresses.contains("fe80"), "{addresses}");
    // 0x82 is permanent and without duplicate address detection; nothing is tentative (0x40).
    let ours: Vec<&str> = addresses
        .lines()
        .filter(|line| line.starts_with("20010db8"))
        .collect();
    assert_eq!(ours.len(), 100);
    assert!(ours.iter().all(|line| line.contains(" 82 ")), "{addresses}");
    let routes = read(&far, "/proc/thread-self/net/route");
    assert!(routes.contains("eth0\t00000000\tFE0200C0"), "{routes}");
    let routes = read(&far, "/proc/thread-self/net/ipv6_route");
    assert!(
        routes.contains("20010db800000000000000000000ffff"),
        "{routes}"
    );
    let links = read(&near.underlay(), "/proc/thread-self/net/dev");
    assert_eq!(links.matches("port").count(), 100, "{links}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_and_why() {
    let keeper = Keeper::create(&[]).unwrap();
    let netns = keeper.underlay().network_fd().unwrap();
    let netlink = Netlink::open(&keeper.underlay()).unwrap();
    let mut batch = Batch::new();
    batch.veth(&end("a".into(), 20), &end("b".into(), 21), netns.as_fd());
    batch.mtu(20, "a", 1_000_000).up(99, "nothing").up(21, "b");
    let error = netlink.apply(batch, DEADLINE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot set the MTU of a to 1000000: mtu greater than device maximum (and 1 more)"
    );
    let refusal = error.source().unwrap();
    let errno = refusal
        .source()
        .unwrap()
        .downcast_ref::<io::Error>()
        .unwrap();
    assert_eq!(errno.kind(), io::ErrorKind::InvalidInput);
    let (first, others) = refusals(error);
    assert_eq!(
        first.explanation.as_deref(),
        Some("mtu greater than device maximum")
    );
    assert_eq!(others, 1);

    // The socket still works; addresses may be there already, new links may not.
    let mut batch = Batch::new();
    batch.mac(20, "a", [2, 0, 0, 0, 0, 1]).mtu(20, "a", 1300);
    for _ in 0..2 {
        batch.address(20, "a", "198.51.100.1/24".parse().unwrap());
        batch.address(20, "a", "2001:db8::1/64".parse().unwrap());
    }
    netlink.apply(batch, DEADLINE).await.unwrap();
    let mut batch = Batch::new();
    batch.bridge("br0", 30).bridge("br0", 31);
    let (first, _) = refusals(netlink.apply(batch, DEADLINE).await.unwrap_err());
    assert_eq!(first.description, "create the bridge br0");
    assert_eq!(first.source.kind(), io::ErrorKind::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_stops_what_would_be_sent_later() {
    let keeper = Keeper::create(&[]).unwrap();
    let netlink = Netlink::open(&keeper.underlay()).unwrap();
    let mut batch = Batch::new();
    for index in 1000..1200 {
        batch.up(index, "nothing");
    }
    batch.bridge("late", 40);
    let (_, others) = refusals(netlink.apply(batch, DEADLINE).await.unwrap_err());
    assert_eq!(others, 127);
    assert!(!read(&keeper.underlay(), "/proc/thread-self/net/dev").contains("late"));
    netlink.apply(Batch::new(), Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept() {
    let keeper = Keeper::create(&[]).unwrap();
    let netlink = Netlink::open(&keeper.underlay()).unwrap();
    let mut batch = Batch::new();
    batch.up(LOOPBACK, "lo");
    let error = netlink.apply(batch, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, BatchError::Deadline { .. }), "{error}");
}

#[test]
fn a_socket_needs_a_runtime() {
    let keeper = Keeper::create(&[]).unwrap();
    let error = Netlink::open(&keeper.underlay()).unwrap_err();
    assert!(matches!(error, OpenError::Runtime(_)), "{error}");
}

#[test]
fn the_datapath_can_be_asked_for() {
    let families = has_openvswitch_datapath();
    assert_eq!(families, has_openvswitch_datapath());
}

/// A switch that opens a TAP device looks at the routes of all its tunnels anew with each change of the kernel's.
#[tokio::test(flavor = "multi_thread")]
async fn a_tap_has_all_its_routes_from_when_it_was_open_and_up() {
    let keeper = Keeper::create(&[]).unwrap();
    let namespaces = keeper.underlay();
    let create = || create_tap("tap0", 10);
    let open = namespaces.run(create).unwrap().unwrap();
    let mut batch = Batch::new();
    batch.quiet(10, "tap0").up(10, "tap0");
    batch.address(10, "tap0", "192.0.2.1/24".parse().unwrap());
    let netlink = Netlink::open(&namespaces).unwrap();
    netlink.apply(batch, DEADLINE).await.unwrap();
    let routes = || {
        let mut routes: Vec<_> = ["route", "ipv6_route"]
            .into_iter()
            .flat_map(|file| {
                let text = read(&namespaces, &format!("/proc/thread-self/net/{file}"));
                let routes = text.lines().filter(|line| line.contains("tap0"));
                routes.map(destination).collect::<Vec<_>>()
            })
            .collect();
        routes.sort();
        routes
    };
    let with_carrier = routes();
    // 192.0.2.0, and ff00::/8.
    assert_eq!(with_carrier.len(), 2, "{with_carrier:?}");
    drop(open);
    assert_eq!(routes(), with_carrier);
    let again = namespaces.run(|| create_tap("tap0", 10)).unwrap().unwrap();
    assert_eq!(routes(), with_carrier);
    drop(again);
}

/// The words of a route that tell it from others: of IPv4 the interface is the first, of IPv6 the last.
fn destination(route: &str) -> String {
    let words: Vec<_> = route.split_whitespace().collect();
    words.iter().take(2).copied().collect::<Vec<_>>().join(" ")
}
