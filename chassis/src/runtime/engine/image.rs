//! Images of nodes: that they are there, and what is in them.

use std::collections::{BTreeSet, HashMap};

use bollard::Docker;
use bollard::errors::Error as ApiError;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions};
use futures::StreamExt;
use ofm_netns::Node;

use super::container::{self, WAITER};
use super::labels::{OWNER, Owner};
use super::{Engine, EngineError, EngineKind, containers, fleet};
use crate::clock::Listener;
use crate::event::Event;
use crate::node::blocking;
use crate::plan::container::Limits;
use crate::software::Software;

/// A program that any image has, for a container that does nothing.
const SLEEPER: &str = "sleep";

/// What to do about an image that is not there.
pub(crate) enum Pull<'a> {
    /// Pull it and tell how that goes.
    Missing(&'a Listener),
    /// Say so.
    Never,
}

/// Sees to it that an image is there.
pub(crate) async fn ensure(
    engine: &Engine,
    reference: &str,
    pull: &Pull<'_>,
) -> Result<(), EngineError> {
    match id(engine, reference).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    let no_image = |why: String| EngineError::NoImage {
        kind: engine.kind(),
        image: reference.to_owned(),
        why,
    };
    match pull {
        Pull::Missing(listener) => self::pull(engine, reference, listener)
            .await
            .map_err(|error| no_image(error.reason())),
        Pull::Never => Err(no_image("a plan pulls nothing".into())),
    }
}

/// The id of an image that is there.
pub(crate) async fn id(engine: &Engine, reference: &str) -> Result<String, EngineError> {
    let image = reference.to_owned();
    let inspect = async move |docker: Docker| docker.inspect_image(&image).await;
    let inspected = engine
        .call(format!("inspect image {reference}"), inspect)
        .await?;
    Ok(inspected.id.unwrap_or_default())
}

/// Removes the images with a label that is not empty, that have no name, and on which nothing is built; then those that
/// this makes so. Returns their ids. One that a container uses stays.
pub(crate) async fn remove_unused(
    engine: &Engine,
    label: &str,
) -> Result<Vec<String>, EngineError> {
    let mut removed = Vec::new();
    loop {
        let options = ListImagesOptions {
            filters: Some(HashMap::from([
                ("dangling".to_owned(), vec!["true".to_owned()]),
                ("label".to_owned(), vec![label.to_owned()]),
            ])),
            ..ListImagesOptions::default()
        };
        let list = async move |docker: Docker| docker.list_images(Some(options)).await;
        let images = engine.call("list images", list).await?;
        let before = removed.len();
        let labelled = images.into_iter().filter(|image| {
            image
                .labels
                .get(label)
                .is_some_and(|value| !value.is_empty())
        });
        for id in labelled.map(|image| image.id) {
            match remove(engine, &id, false).await {
                Ok(()) => removed.push(id),
                Err(error) if error.is_in_the_way() => {
                    if is_used_by_a_killed_build(engine, &id).await? {
                        remove(engine, &id, true).await?;
                        removed.push(id);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if removed.len() == before {
            return Ok(removed);
        }
    }
}

async fn remove(engine: &Engine, id: &str, force: bool) -> Result<(), EngineError> {
    let image = id.to_owned();
    let remove = async move |docker: Docker| {
        let options = RemoveImageOptions {
            force,
            ..RemoveImageOptions::default()
        };
        docker.remove_image(&image, Some(options), None).await
    };
    let removed = engine.call(format!("remove image {id}"), remove).await;
    removed.map(|_| ())
}

/// Whether an image that is in use is so by no container. Then it is one that Podman made for a step of a build which it
/// did not get to remove: those are in its storage only, and go with the image by force.
async fn is_used_by_a_killed_build(engine: &Engine, id: &str) -> Result<bool, EngineError> {
    if engine.kind() != EngineKind::Podman {
        return Ok(false);
    }
    let containers = containers::list_of_image(engine, id).await?;
    Ok(containers.is_empty())
}

/// Pulls an image. There is no deadline for the whole, which may be large, but one for every word of the engine.
pub(crate) async fn pull(
    engine: &Engine,
    reference: &str,
    listener: &Listener,
) -> Result<(), EngineError> {
    // Without a tag an engine would pull all there are.
    let last = reference.rsplit('/').next().unwrap_or(reference);
    let tag = (!last.contains([':', '@'])).then(|| "latest".to_owned());
    let options = CreateImageOptions {
        from_image: Some(reference.to_owned()),
        tag,
        ..CreateImageOptions::default()
    };
    let image: std::sync::Arc<str> = reference.into();
    let listener = listener.clone();
    let action = format!("pull image {reference}");
    engine
        .follow(
            action,
            move |docker: &Docker| docker.create_image(Some(options), None, None).boxed(),
            move |info| {
                let progress = info.progress_detail.unwrap_or_default();
                let number = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
                listener(Event::Pulling {
                    image: image.clone(),
                    layer: info.id.unwrap_or_default(),
                    status: info.status.unwrap_or_default(),
                    done: number(progress.current),
                    total: number(progress.total),
                });
                match info.error_detail.and_then(|e| e.message) {
                    Some(error) => Err(ApiError::DockerStreamError { error }),
                    None => Ok(()),
                }
            },
        )
        .await
}

/// Finds programs and schemas in an image, in a container that is started for that and removed.
pub(crate) async fn software(
    engine: &Engine,
    reference: &str,
    names: BTreeSet<&str>,
    limits: Limits,
) -> Result<Software, EngineError> {
    let host = |source| EngineError::Host {
        what: "this process's identity",
        source,
    };
    let owner = Owner::this_process().map_err(host)?;
    let names: Vec<String> = names
        .into_iter()
        .chain([WAITER])
        .map(str::to_owned)
        .collect();
    let looking = look_into(engine.clone(), reference.to_owned(), names, owner, limits);
    // It must come to its end, or the container would stay.
    let found = engine.worker().spawn(looking).await;
    found.unwrap_or(Err(EngineError::Stopping))
}

async fn look_into(
    engine: Engine,
    image: String,
    names: Vec<String>,
    owner: Owner,
    limits: Limits,
) -> Result<Software, EngineError> {
    // A name that no other container has, by which its process is known to be the right one.
    let hostname = format!("ofm-{}", uuid::Uuid::new_v4().simple());
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    let body = ContainerCreateBody {
        hostname: Some(hostname.clone()),
        image: Some(image.clone()),
        user: Some("0:0".to_owned()),
        entrypoint: words(&[SLEEPER]),
        // Should this process be killed meanwhile, the container goes by itself soon.
        cmd: words(&["60"]),
        labels: Some(HashMap::from([(OWNER.to_owned(), owner.to_string())])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            auto_remove: Some(true),
            // It is only looked into.
            cap_drop: Some(vec!["ALL".to_owned()]),
            ulimits: Some(container::ulimits(limits)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let started = fleet::start(&engine, &hostname, body).await;
    let missing = |missing| EngineError::ImageLacks {
        image: image.clone(),
        missing,
    };
    let (id, pid) = match started {
        Ok(started) => started,
        Err(EngineError::Refused { message, .. }) if message.contains("not found") => {
            return Err(missing(vec![SLEEPER.to_owned()]));
        }
        Err(error) => return Err(error),
    };
    let found = blocking(move || {
        let is_it = || rustix::system::uname().nodename().to_bytes() == hostname.as_bytes();
        let node = Node::adopt(&hostname, pid, is_it)?;
        let found = node
            .namespaces()
            .run(|| Software::here(names.iter().map(String::as_str)));
        // The engine removes what has ended, and need not be waited for.
        node.process().kill();
        found.map_err(ofm_netns::NodeError::from)
    })
    .await;
    match found {
        Ok(found) => found.map_err(missing),
        Err(error) => {
            containers::remove(&engine, vec![id]).await?;
            Err(error.into())
        }
    }
}
