//! Listing and removing containers.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as ApiError;
use bollard::query_parameters::{
    ListContainersOptions, RemoveContainerOptions, WaitContainerOptions,
};
use futures::{StreamExt, stream};

use super::{Engine, EngineError};

/// How many containers are made or removed at once. Docker 20.10 and Podman 4.3 on two cores make 51 no faster with more
/// (docs/benchmarks.md), and the engine's other users want to be served too.
pub(super) const WIDTH: usize = 8;

/// The states of a container that the API has words for and that Podman 4.3 takes in a filter, as it does not take
/// `stopping`, `dead` and `restarting`.
const FILTERED_STATES: [&str; 5] = ["created", "running", "paused", "exited", "removing"];

/// How often a container may be in a state that passes, and the time between two looks. One of Podman refuses to be
/// removed while it ends by itself.
const ATTEMPTS: u32 = 20;
const INTERVAL: Duration = Duration::from_millis(100);

/// A container as a listing shows it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: HashMap<String, String>,
}

/// All containers, running or not; or those that have a label, `KEY` or `KEY=VALUE`.
pub(crate) async fn list(engine: &Engine, label: Option<&str>) -> Result<Vec<Found>, EngineError> {
    list_by(engine, label.map(|label| ("label", vec![label.to_owned()]))).await
}

/// All containers, running or not, of an image or of one that is built on it.
pub(crate) async fn list_of_image(engine: &Engine, id: &str) -> Result<Vec<Found>, EngineError> {
    list_by(engine, Some(("ancestor", vec![id.to_owned()]))).await
}

async fn list_by(
    engine: &Engine,
    filter: Option<(&'static str, Vec<String>)>,
) -> Result<Vec<Found>, EngineError> {
    let list = async move |docker: Docker| {
        let options = |filters: Vec<(&str, Vec<String>)>| {
            let filters = filters
                .into_iter()
                .map(|(key, values)| (key.to_owned(), values));
            Some(ListContainersOptions {
                all: true,
                filters: Some(filters.collect()),
                ..ListContainersOptions::default()
            })
        };
        let filters: Vec<_> = filter.into_iter().collect();
        // Podman has states for a container that is about to start or has just ended which the API has no words for,
        // and an answer with one of them is none. They pass soon.
        for _ in 1..ATTEMPTS {
            match docker.list_containers(options(filters.clone())).await {
                Err(ApiError::JsonDataError { .. }) => {}
                other => return other,
            }
            pause().await;
        }
        // A container that stays in such a state is left to a later look.
        let states = ("status", FILTERED_STATES.map(str::to_owned).to_vec());
        let filters = filters.into_iter().chain([states]).collect();
        docker.list_containers(options(filters)).await
    };
    let listed = engine.call("list containers", list).await?;
    let found = listed.into_iter().filter_map(|summary| {
        let name = summary.names.unwrap_or_default().into_iter().next();
        Some(Found {
            id: summary.id?,
            name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
            labels: summary.labels.unwrap_or_default(),
        })
    });
    Ok(found.collect())
}

/// Removes containers by force, with their volumes. One that is gone already is fine. All are tried; the first error is
/// returned.
pub(crate) async fn remove(engine: &Engine, ids: Vec<String>) -> Result<(), EngineError> {
    let removals = ids.into_iter().map(|id| {
        let engine = engine.clone();
        async move {
            let action = format!("remove container {id}");
            let request = async move |docker: Docker| remove_one(&docker, &id).await;
            engine.call(action, request).await
        }
    });
    let removed = stream::iter(removals).buffer_unordered(WIDTH);
    let results: Vec<_> = removed.collect().await;
    results.into_iter().collect()
}

async fn remove_one(docker: &Docker, id: &str) -> Result<(), ApiError> {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        link: false,
    };
    let mut attempt = 1;
    loop {
        match docker.remove_container(id, Some(options.clone())).await {
            Err(ApiError::DockerResponseServerError {
                status_code: 404, ..
            }) => return Ok(()),
            // The engine is at it already, because the container ended.
            Err(ApiError::DockerResponseServerError {
                status_code: 409, ..
            }) if attempt < ATTEMPTS => {
                let options = WaitContainerOptions {
                    condition: "removed".to_owned(),
                };
                let mut wait = std::pin::pin!(docker.wait_container(id, Some(options)));
                // However the wait ends, the next attempt tells.
                while wait.next().await.is_some_and(|result| result.is_ok()) {}
            }
            Err(ApiError::DockerResponseServerError {
                status_code: 500, ..
            }) if attempt < ATTEMPTS => {}
            other => return other,
        }
        pause().await;
        attempt += 1;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an engine does not tell when a container's passing state is over"
)]
async fn pause() {
    tokio::time::sleep(INTERVAL).await;
}
