//! What a start is made of, by itself: nodes, a batch of netlink requests, certificates, database files, and a transaction
//! with a database server.

use std::hint::black_box;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::try_join_all;
use ofm::plan::{Plan, sb_rows};
use ofm_benches::cluster::{Kind, done};
use ofm_netns::{Keeper, Nursery, RootFs};
use ofm_underlay::{Batch, Netlink, VethEnd};
use ovsdb_client::file::{DatabaseFile, Durability};
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Condition, Schema, Transaction};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::runtime::Runtime;

const NODES: usize = 50;
const PAIRS: u32 = 100;

/// 50 nodes with nothing in them: PID 1, its namespaces and its root file system. Their end is not timed.
fn nodes(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("nodes");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(NODES as u64));
    group.bench_function("50 nodes", |b| {
        b.to_async(&rt).iter_custom(|iterations| async move {
            let mut total = Duration::ZERO;
            for _ in 0..iterations {
                total += empty_nodes().await;
            }
            total
        });
    });
    group.finish();
}

async fn empty_nodes() -> Duration {
    let stages = tempfile::tempdir().expect("a folder");
    let keeper = Keeper::create(&[]).expect("a keeper");
    let roots: Vec<_> = (0..NODES)
        .map(|number| {
            let stage = stages.path().join(number.to_string());
            std::fs::create_dir(&stage).expect("a folder");
            RootFs::new(format!("node-{number}"), stage).private("/etc/openvswitch", 0o755)
        })
        .collect();
    let began = Instant::now();
    let nursery = Nursery::create(&keeper, &roots).expect("a nursery");
    let nursery = std::sync::Arc::new(nursery);
    let nodes = roots.into_iter().map(|root| {
        let nursery = nursery.clone();
        tokio::task::spawn_blocking(move || nursery.make(root.hostname()).expect("a node"))
    });
    let nodes = try_join_all(nodes).await.expect("50 nodes");
    drop(nursery);
    let elapsed = began.elapsed();
    drop(nodes);
    end(&keeper).await;
    elapsed
}

async fn end(keeper: &Keeper) {
    keeper.process().kill();
    keeper
        .process()
        .exited()
        .await
        .expect("the end of the keeper");
}

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
    let end_of_pair = |prefix, index| VethEnd {
        name: format!("{prefix}{index}"),
        index,
        mac: None,
        mtu: None,
        controller: None,
    };
    let began = Instant::now();
    let mut batch = Batch::new();
    for pair in 0..PAIRS {
        let ends = [end_of_pair("a", 100 + pair), end_of_pair("b", 1100 + pair)];
        batch.veth(&ends[0], &ends[1], netns.as_fd());
    }
    let applied = netlink.apply(batch, Duration::from_secs(30)).await;
    let elapsed = began.elapsed();
    applied.expect("100 veth pairs");
    end(&keeper).await;
    elapsed
}

/// What each node gets of the cluster's authority: a key, and a certificate of it, of the kind that ofm uses.
fn certificates(c: &mut Criterion) {
    let key = || KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let issuer = Issuer::new(CertificateParams::default(), key());
    c.bench_function("certificates/of a node", |b| {
        b.iter(|| {
            let params = CertificateParams::new(["ovn-chassis-1".to_owned()]).expect("a name");
            let key = key();
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            (certificate.pem(), key.serialize_pem())
        });
    });
}

/// The southbound database as a start makes it, with the rows of all chassis: from the plan to bytes, and to a file.
fn files(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("files");
    for chassis in [50, 500] {
        let plan = rt.block_on(plan(chassis));
        let mut databases = plan.central().databases.iter();
        let database = databases.find(|database| database.name == "OVN_Southbound");
        let path = &database.expect("a southbound database").schema;
        let schema = std::fs::read_to_string(path).expect("its schema");
        let schema = Schema::parse(&schema).expect("its schema");
        let file = || {
            let mut file = DatabaseFile::new(&schema);
            for (table, uuid, row) in sb_rows(&plan, 1) {
                file.insert_as(table, uuid, row);
            }
            file
        };
        group.throughput(Throughput::Elements(chassis.into()));
        group.bench_function(BenchmarkId::new("southbound, bytes", chassis), |b| {
            b.iter(|| black_box(file()).to_bytes().expect("valid rows"));
        });
        let folder = tempfile::tempdir().expect("a folder");
        let number = AtomicU64::new(0);
        let next = || -> PathBuf {
            let number = number.fetch_add(1, Ordering::Relaxed);
            folder.path().join(number.to_string())
        };
        group.bench_function(BenchmarkId::new("southbound, written", chassis), |b| {
            b.iter_batched(
                next,
                |path| file().create(path, Durability::Process).expect("a file"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

async fn plan(chassis: u32) -> Plan {
    let spec = Kind::Default.spec(chassis);
    let facts = done(ofm::host::inspect(&spec, &ofm::state::default_root()).await);
    Plan::new(&spec, &facts).expect("a plan")
}

/// One row changed in the northbound database of a running cluster.
fn transact(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut running = None;
    // A value that is there already would change nothing.
    let counter = AtomicU64::new(0);
    c.bench_function("ovsdb/transact", |b| {
        let (_, client) = running.get_or_insert_with(|| {
            rt.block_on(async {
                let cluster = done(Kind::Default.builder(2).start().await);
                let client = done(cluster.nb().await);
                (cluster, client)
            })
        });
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
    if let Some((cluster, client)) = running {
        drop(client);
        done(rt.block_on(cluster.stop()));
    }
}

criterion_group!(benches, nodes, netlink, certificates, files, transact);
criterion_main!(benches);
