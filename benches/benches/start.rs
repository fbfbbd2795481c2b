//! From the request to a cluster that is ready, its phases, its end, and one chassis more.
//!
//! `OFM_BENCH_CHASSIS=200,500` measures clusters of other sizes than 1, 10 and 50 chassis.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group,
    criterion_main,
};
use ofm::Phase;
use ofm::spec::ChassisSpec;
use ofm_benches::cluster::{Kind, done};
use tokio::runtime::Runtime;

/// As few as criterion allows: a start is long.
const SAMPLES: usize = 10;

/// What one start gave.
struct Start {
    until_ready: Duration,
    phases: [Duration; Phase::ALL.len()],
    stop: Duration,
}

/// Starts of one kind and size, all that were made so far. Each gives several figures, but criterion measures one at a
/// time, and would have clusters started for each.
struct Starts {
    runtime: Runtime,
    kind: Kind,
    chassis: u32,
    made: RefCell<Vec<Start>>,
}

impl Starts {
    fn new(kind: Kind, chassis: u32) -> Self {
        Self {
            runtime: Runtime::new().expect("a runtime"),
            kind,
            chassis,
            made: RefCell::default(),
        }
    }

    /// Starts a cluster and ends it.
    fn make(&self) -> Duration {
        let start = self.runtime.block_on(async {
            let began = Instant::now();
            let cluster = done(self.kind.builder(self.chassis).start().await);
            let until_ready = began.elapsed();
            let phases = cluster.phases();
            let phases = Phase::ALL.map(|phase| phases.get(&phase).copied().unwrap_or_default());
            let began = Instant::now();
            done(cluster.stop().await);
            Start {
                until_ready,
                phases,
                stop: began.elapsed(),
            }
        });
        let until_ready = start.until_ready;
        self.made.borrow_mut().push(start);
        until_ready
    }

    /// Measures a part of starts that were made for another measurement; made now if it was left out.
    fn replay(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        id: BenchmarkId,
        part: impl Fn(&Start) -> Duration,
    ) {
        // There is nothing to warm up, and nothing takes time.
        group.warm_up_time(Duration::from_nanos(1));
        group.measurement_time(Duration::from_millis(1));
        let mut sample = 0;
        group.bench_function(id, |b| {
            b.iter_custom(|iterations| {
                while self.made.borrow().len() < SAMPLES {
                    self.make();
                }
                let made = self.made.borrow();
                sample += 1;
                // The last ones, because the first one was to warm up.
                let start = &made[made.len() - SAMPLES + sample % SAMPLES];
                part(start).saturating_mul(iterations.try_into().unwrap_or(u32::MAX))
            });
        });
    }
}

/// The sizes that are measured, the largest one last.
fn sizes() -> Vec<u32> {
    let list = std::env::var("OFM_BENCH_CHASSIS").unwrap_or_else(|_| "1,10,50".to_owned());
    let sizes: Result<Vec<u32>, _> = list.split(',').map(|size| size.trim().parse()).collect();
    let mut sizes = sizes.expect("OFM_BENCH_CHASSIS is numbers with commas between them");
    sizes.sort_unstable();
    sizes
}

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    // A linear plan would make 55 starts for 10 samples.
    group.sampling_mode(SamplingMode::Flat).sample_size(SAMPLES);
    group.warm_up_time(Duration::from_millis(1));
    group
}

fn start(c: &mut Criterion) {
    let sizes = sizes();
    let largest = *sizes.last().expect("at least one size");
    for kind in Kind::ALL {
        let mut last = None;
        let mut group = group(c, "start");
        for &chassis in &sizes {
            let starts = Starts::new(kind, chassis);
            group.throughput(Throughput::Elements(chassis.into()));
            group.bench_function(BenchmarkId::new(kind.to_string(), chassis), |b| {
                b.iter_custom(|iterations| (0..iterations).map(|_| starts.make()).sum());
            });
            last = Some(starts);
        }
        group.finish();
        if let (Kind::Default, Some(starts)) = (kind, last) {
            parts(c, &starts);
        }
    }
    add_chassis(c, largest);
}

/// The phases of starts, and what came after them.
fn parts(c: &mut Criterion, starts: &Starts) {
    let mut phases = group(c, "phases");
    for (index, phase) in Phase::ALL.into_iter().enumerate() {
        let id = BenchmarkId::new(phase.as_str(), starts.chassis);
        starts.replay(&mut phases, id, |start| start.phases[index]);
    }
    phases.finish();
    let mut stop = group(c, "stop");
    let id = BenchmarkId::new(starts.kind.to_string(), starts.chassis);
    starts.replay(&mut stop, id, |start| start.stop);
    stop.finish();
}

/// One chassis comes to a running cluster, until it has all its tunnels; that it goes again is not timed.
fn add_chassis(c: &mut Criterion, chassis: u32) {
    let runtime = Runtime::new().expect("a runtime");
    let mut cluster = None;
    let mut group = group(c, "add-chassis");
    group.bench_function(BenchmarkId::new(Kind::Default.to_string(), chassis), |b| {
        b.iter_custom(|iterations| {
            runtime.block_on(async {
                if cluster.is_none() {
                    cluster = Some(done(Kind::Default.builder(chassis).start().await));
                }
                let cluster = cluster.as_mut().expect("just started");
                let mut total = Duration::ZERO;
                for _ in 0..iterations {
                    let spec = ChassisSpec::new("one-more".parse().expect("a valid name"));
                    let began = Instant::now();
                    done(cluster.add_chassis(spec).await);
                    total += began.elapsed();
                    done(cluster.stop_chassis("one-more").await);
                }
                total
            })
        });
    });
    group.finish();
    if let Some(cluster) = cluster {
        done(runtime.block_on(cluster.stop()));
    }
}

criterion_group!(benches, start);
criterion_main!(benches);
