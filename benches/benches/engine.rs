//! What a cluster of containers costs beside what its engine costs anyway: in turn, on the same Docker and the same image,
//!
//! - `idle`: 51 containers that do nothing, by nothing but concurrent create and start requests;
//! - `native`: a cluster of a central and 50 chassis without an engine;
//! - `docker`: the same cluster as containers.
//!
//! Docker is one of the bench's own. It needs root and the programs that `scripts/install-deps --tests` installs:
//! `sudo -E cargo bench -p ofm-benches --bench engine -- --rounds 3`
#![expect(clippy::print_stdout, reason = "a bench shows what it measured")]

use std::error::Error;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, RemoveContainerOptions, StartContainerOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use ofm::image::packages::Distribution;
use ofm::image::{Base, Build};
use ofm::runtime::EngineKind;
use ofm::spec::{Images, RuntimeChoice};
use ofm::{Builder, Cluster};
use ofm_benches::cluster;
use ofm_tests::{Engine, IMAGE, rootfs};

const CHASSIS: u32 = 50;
/// As many requests at once as Docker can make use of.
const WIDTH: usize = 16;
/// What is to be kept: `docker` takes no longer than this times `idle`, plus `native`.
const BOUND: f64 = 1.4;

fn main() -> Result<(), Box<dyn Error>> {
    if !ofm_benches::is_measuring() {
        return Ok(());
    }
    let rounds = rounds(std::env::args())?;
    let runtime = tokio::runtime::Runtime::new()?;
    let engine = Engine::start(ofm_tests::EngineKind::Docker)?;
    let archive = rootfs(&Distribution::Debian.packages())?;
    let build = Build::new(EngineKind::Docker)
        .engine_socket(engine.socket())
        .network("none")
        .base(Base::RootFs(archive))
        .tag(IMAGE);
    runtime.block_on(build.run())?;
    let socket = engine.socket().to_owned();
    let path = socket.to_str().ok_or("a path that is text")?;
    let docker = Docker::connect_with_unix(path, 120, bollard::API_DEFAULT_VERSION)?;
    println!(
        "{:>8} {:>8} {:>8} {:>22}",
        "idle", "native", "docker", "(docker-native)/idle"
    );
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let idle = runtime.block_on(idle(&docker))?;
        let native = runtime.block_on(start(builder()))?;
        let of_engine = builder()
            .runtime(RuntimeChoice::Docker)
            .images(Images::all(IMAGE))
            .engine_socket(&socket);
        let with_engine = runtime.block_on(start(of_engine))?;
        let ratio = (with_engine.as_secs_f64() - native.as_secs_f64()) / idle.as_secs_f64();
        println!("{idle:>8.2?} {native:>8.2?} {with_engine:>8.2?} {ratio:>22.2}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    println!("median {median:.2}, to be at most {BOUND}");
    engine.stop()?;
    if median > BOUND {
        return Err("above the bound".into());
    }
    Ok(())
}

fn rounds(mut args: impl Iterator<Item = String>) -> Result<usize, Box<dyn Error>> {
    match args.find(|arg| arg == "--rounds") {
        None => Ok(3),
        Some(_) => {
            let rounds: usize = args.next().ok_or("--rounds takes a number")?.parse()?;
            Ok(rounds.max(1))
        }
    }
}

fn builder() -> Builder {
    Cluster::builder()
        .name(cluster::name())
        .chassis(CHASSIS)
        .gateways(0)
        .no_fake_vms()
}

/// Returns how long the start took.
async fn start(builder: Builder) -> Result<Duration, ofm::Error> {
    let began = Instant::now();
    let cluster = builder.start().await?;
    let elapsed = began.elapsed();
    cluster.stop().await?;
    Ok(elapsed)
}

/// Returns how long it takes until as many containers run as a cluster has nodes.
async fn idle(docker: &Docker) -> Result<Duration, bollard::errors::Error> {
    let began = Instant::now();
    let ids: Vec<String> = stream::iter(0..=CHASSIS)
        .map(|_| idle_container(docker))
        .buffer_unordered(WIDTH)
        .try_collect()
        .await?;
    let elapsed = began.elapsed();
    let options = RemoveContainerOptions {
        force: true,
        ..RemoveContainerOptions::default()
    };
    let removals = stream::iter(ids).map(|id| {
        let options = options.clone();
        async move { docker.remove_container(&id, Some(options)).await }
    });
    removals.buffer_unordered(WIDTH).try_collect::<()>().await?;
    Ok(elapsed)
}

async fn idle_container(docker: &Docker) -> Result<String, bollard::errors::Error> {
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec!["sleep".to_owned(), "infinity".to_owned()]),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = None::<CreateContainerOptions>;
    let id = docker.create_container(options, body).await?.id;
    let options = None::<StartContainerOptions>;
    docker.start_container(&id, options).await?;
    Ok(id)
}
