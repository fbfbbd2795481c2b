//! Making reality match a plan, one module per phase.

pub(crate) mod daemons;
pub(crate) mod difference;
pub(crate) mod files;
pub(crate) mod links;
pub(crate) mod model;
pub(crate) mod nodes;
pub(crate) mod ready;

use std::future::Future;

use futures::{StreamExt, stream};

use crate::clock::Clock;
use crate::error::Error;
use crate::event::Phase;

/// How many nodes are worked on at once. More only makes daemons wait for each other's processor time.
fn width() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from) * 2
}

/// Does the same for many nodes, some at a time, and tells how far it is. The first error ends it.
async fn for_each<T, R, F: Future<Output = Result<R, Error>>>(
    clock: &Clock,
    phase: Phase,
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<Vec<R>, Error> {
    for_each_at_once(width(), clock, phase, items, f).await
}

/// Does the same for many nodes, some at a time. The first error ends it.
pub(crate) async fn for_all<T, F: Future<Output = Result<(), Error>>>(
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<(), Error> {
    for_each(&Clock::deaf(), Phase::Ready, items, f).await?;
    Ok(())
}

/// As [`for_each`], `width` at a time.
async fn for_each_at_once<T, R, F: Future<Output = Result<R, Error>>>(
    width: usize,
    clock: &Clock,
    phase: Phase,
    items: impl ExactSizeIterator<Item = T>,
    f: impl Fn(T) -> F,
) -> Result<Vec<R>, Error> {
    let total = items.len();
    let mut running = stream::iter(items.map(f)).buffer_unordered(width);
    let mut done = Vec::with_capacity(total);
    while let Some(result) = running.next().await {
        done.push(result?);
        clock.progress(phase, done.len(), total);
    }
    Ok(done)
}
