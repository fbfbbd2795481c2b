//! What a start is made of, by itself: a batch of netlink requests, and a transaction with a database server.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ofm::Cluster;
use ofm_netns::Keeper;
use ofm_underlay::{Batch, Netlink, VethEnd};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, Transaction};
use tokio::runtime::Runtime;

const PAIRS: u32 = 100;

/// 100 veth pairs, both ends in one fresh namespace; making and removing that is not timed.
fn netlink(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("netlink");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(PAIRS.into()));
    group.bench_function("100 veth pairs", |b| {
        b.to_async(&rt).iter_custom(|iterations| async move {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                total += veth_pairs().await;
            }
            total
        });
    });
    group.finish();
}

async fn veth_pairs() -> Duration {
    let keeper = Keeper::create(&[]).expect("a keeper");
    let underlay = keeper.underlay();
    let netns = underlay.network_fd().expect("its network namespace");
    let netlink = Netlink::open(&underlay).expect("a socket in it");
    let end = |prefix, index| VethEnd {
        name: format!("{prefix}{index}"),
        index,
        mac: None,
        mtu: None,
        controller: None,
    };
    let began = Instant::now();
    let mut batch = Batch::new();
    for pair in 0..PAIRS {
        batch.veth(&end("a", 100 + pair), &end("b", 1100 + pair), netns.as_fd());
    }
    let applied = netlink.apply(batch, Duration::from_secs(30)).await;
    let elapsed = began.elapsed();
    applied.expect("100 veth pairs");
    keeper.process().kill();
    keeper
        .process()
        .exited()
        .await
        .expect("the end of the keeper");
    elapsed
}

/// One row changed in the northbound database of a running cluster.
fn transact(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let name = format!("bench-{}", std::process::id());
    let builder = Cluster::builder().name(name.parse().expect("a valid name"));
    let cluster = rt.block_on(builder.start()).expect("a cluster");
    let client = rt.block_on(cluster.nb()).expect("its northbound database");
    // A value that is there already would change nothing.
    let counter = AtomicU64::new(0);
    c.bench_function("ovsdb/transact", |b| {
        b.to_async(&rt).iter(|| async {
            let value = counter.fetch_add(1, Ordering::Relaxed).to_string();
            let row = Row::new().set("external_ids", Datum::map([("bench", value)]));
            let mut txn = Transaction::new();
            txn.update("NB_Global", [] as [Condition; 0], row);
            client
                .transact("OVN_Northbound", txn)
                .await
                .expect("a reply")
        });
    });
    drop(client);
    rt.block_on(cluster.stop()).expect("the end of the cluster");
}

criterion_group!(benches, netlink, transact);
criterion_main!(benches);
