//! From the request to a cluster that is ready; stopping it is not timed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use ofm::{Cluster, Error};
use tokio::runtime::Runtime;

fn start(c: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("start");
    // One start is long enough to be timed by itself; a linear plan would run 55 for 10 samples.
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    for chassis in [1, 10, 50] {
        group.throughput(Throughput::Elements(chassis.into()));
        group.bench_function(BenchmarkId::new("chassis", chassis), |b| {
            b.to_async(&rt).iter_custom(|iterations| async move {
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    total += start_and_stop(chassis).await.expect("a cluster");
                }
                total
            });
        });
    }
    group.finish();
}

/// Returns how long the start took.
async fn start_and_stop(chassis: u32) -> Result<Duration, Error> {
    let name = format!("bench-{}", std::process::id());
    let name = name.parse().expect("a valid name");
    let builder = Cluster::builder().name(name).chassis(chassis);
    let began = Instant::now();
    let cluster = black_box(builder.no_fake_vms().start().await?);
    let elapsed = began.elapsed();
    cluster.stop().await?;
    Ok(elapsed)
}

criterion_group!(benches, start);
criterion_main!(benches);
