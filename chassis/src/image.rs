//! Images of nodes: Open vSwitch, OVN, and the tools that tests of OVN use, on some distribution, without systemd.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ofm::image::Build;
//! use ofm::runtime::EngineKind;
//!
//! let image = Build::new(EngineKind::Docker).tag("ovn-test:latest").run().await?;
//! println!("{} is {}", image.tag, image.id);
//! # Ok(()) }
//! ```
//!
//! Everything goes through the engine's build API, with a context that is put together in memory; no program is run
//! outside the engine. A build with the same input as one before is answered from the engine's cache.

mod context;
mod error;
pub mod packages;
mod recipe;
mod rootfs;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::BuildImageOptions;
use futures::StreamExt;

pub use error::BuildError;
pub(crate) use session::Session;

use crate::error::Error;
use crate::event::Event;
use crate::runtime::EngineKind;
use crate::runtime::engine::image::{self, Pull};
use crate::runtime::engine::{Engine, EngineError};
use crate::spec::DEFAULT_IMAGE;

/// How long an engine may say nothing while it builds. A compiler takes its time without a word.
const SILENCE: Duration = Duration::from_secs(1800);

/// The label of every image that a build makes: the digest of a root file system that was imported, [`UNFINISHED`] on the
/// way, and nothing in the end. An image without a name in which it is not empty did not come to its end, or is kept by
/// the engine to build faster the next time.
pub(crate) const BUILD: &str = "ofm.build";
/// The value of [`BUILD`] of every image on the way, and thereby of the containers in which the steps run.
pub(crate) const UNFINISHED: &str = "unfinished";

/// Where Open vSwitch and OVN come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// The packages of the distribution.
    #[default]
    Distribution,
    /// Package files, all `.deb` or all `.rpm`; what they depend on comes from the distribution.
    Packages(Vec<PathBuf>),
    /// Source trees, which are compiled in the image.
    Trees {
        /// Of Open vSwitch.
        ovs: PathBuf,
        /// Of OVN.
        ovn: PathBuf,
        /// Flags of the C compiler.
        cflags: String,
    },
}

/// Compiler flags for debugging and profiling, unless told otherwise.
pub const CFLAGS: &str = "-g -O2 -fno-omit-frame-pointer -fPIC";
/// Compiler flags for speed on this very machine.
pub const OPTIMIZED_CFLAGS: &str = "-g -march=native -O3 -fno-omit-frame-pointer -fPIC";

/// What an image is built on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// An image, which is pulled if it is not there.
    Image(String),
    /// A tar archive of a root file system, which is imported. No registry is needed.
    RootFs(PathBuf),
}

/// An image to be built. Plain data with defaults; nothing happens before [`Build::run`].
#[derive(Clone)]
pub struct Build {
    kind: EngineKind,
    tag: String,
    base: Base,
    source: Source,
    network: String,
    cache: bool,
    attempts: u32,
    interval: Duration,
    engine_socket: Option<PathBuf>,
    engine_deadline: Duration,
    listener: Arc<dyn Fn(Event) + Send + Sync>,
}

impl std::fmt::Debug for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Build")
            .field("kind", &self.kind)
            .field("tag", &self.tag)
            .field("base", &self.base)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// An image that was built.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Built {
    /// Its name and tag.
    pub tag: String,
    /// Its id.
    pub id: String,
}

impl Build {
    /// An image for a kind of engine: packages of Debian stable, tagged [`DEFAULT_IMAGE`].
    pub fn new(kind: EngineKind) -> Self {
        Self {
            kind,
            tag: DEFAULT_IMAGE.to_owned(),
            base: Base::Image(packages::Distribution::Debian.image().to_owned()),
            source: Source::default(),
            network: "host".to_owned(),
            cache: true,
            attempts: 40,
            interval: Duration::from_secs(5),
            engine_socket: None,
            engine_deadline: crate::runtime::engine::DEADLINE,
            listener: Arc::new(|_| {}),
        }
    }

    /// Name and tag of the image.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = tag.into();
        self
    }

    /// What it is built on.
    #[must_use]
    pub fn base(mut self, base: Base) -> Self {
        self.base = base;
        self
    }

    /// Where Open vSwitch and OVN come from.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Network of the build steps, which fetch packages: `host` unless told otherwise, `none`, or one of the engine's.
    #[must_use]
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.network = network.into();
        self
    }

    /// Builds everything anew.
    #[must_use]
    pub fn no_cache(mut self) -> Self {
        self.cache = false;
        self
    }

    /// How often the base image is asked for, and the time between: 40 times, 5 seconds unless told otherwise.
    #[must_use]
    pub fn pull_attempts(mut self, attempts: u32, interval: Duration) -> Self {
        self.attempts = attempts.max(1);
        self.interval = interval;
        self
    }

    /// The engine's socket; found as for clusters unless told otherwise.
    #[must_use]
    pub fn engine_socket(mut self, socket: impl Into<PathBuf>) -> Self {
        self.engine_socket = Some(socket.into());
        self
    }

    /// How long the engine may take to answer a request other than the build itself.
    #[must_use]
    pub fn engine_deadline(mut self, deadline: Duration) -> Self {
        self.engine_deadline = deadline;
        self
    }

    /// Is told how the build goes on.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.listener = Arc::new(listener);
        self
    }

    /// Builds the image. Dropping the future ends the build.
    ///
    /// # Errors
    /// With what is wrong with the request, before anything is touched; or with what the engine said.
    pub async fn run(self) -> Result<Built, Error> {
        context::check(&self.source)?;
        if let Base::RootFs(path) = &self.base {
            rootfs::check(path)?;
        }
        let engine = Engine::connect(
            self.kind,
            self.engine_socket.as_deref(),
            self.engine_deadline,
        )
        .await?;
        let patient = engine.with_deadline(SILENCE);
        // As long as this is held, nobody takes what the build makes on its way for garbage.
        let _session = Session::begin().await?;
        let base = match &self.base {
            Base::Image(reference) => {
                self.pull(&engine, reference).await?;
                reference.clone()
            }
            Base::RootFs(path) => rootfs::ensure(&patient, path, &self.listener).await?,
        };
        let context = context::archive(base, self.source.clone()).await?;
        let id = self.build(&patient, context).await?;
        Ok(Built { tag: self.tag, id })
    }

    async fn build(&self, engine: &Engine, context: Vec<u8>) -> Result<String, EngineError> {
        let options = BuildImageOptions {
            t: Some(self.tag.clone()),
            nocache: !self.cache,
            rm: true,
            // Also what is cut short leaves no container.
            forcerm: true,
            networkmode: Some(self.network.clone()),
            ..BuildImageOptions::default()
        };
        let body = bollard::body_full(context.into());
        let listener = self.listener.clone();
        let take = move |info: bollard::models::BuildInfo| {
            if let Some(text) = info.stream {
                listener(Event::Output(text.into()));
            }
            Ok(())
        };
        let action = format!("build image {}", self.tag);
        engine
            .follow(
                action,
                move |docker| docker.build_image(options, None, Some(body)).boxed(),
                take,
            )
            .await?;
        image::id(engine, &self.tag).await
    }

    async fn pull(&self, engine: &Engine, reference: &str) -> Result<(), EngineError> {
        let mut attempt = 1;
        loop {
            let pulled = image::ensure(engine, reference, &Pull::Missing(&self.listener)).await;
            match pulled {
                Err(error) if attempt < self.attempts => {
                    let why = format!("attempt {attempt} of {}: {error}\n", self.attempts);
                    (self.listener)(Event::Output(why.into()));
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "a registry that does not answer tells nobody when it will"
                    )]
                    tokio::time::sleep(self.interval).await;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }
}
