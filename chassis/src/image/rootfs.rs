//! A base image from a tar archive of a root file system, without a registry.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::query_parameters::{CreateImageOptions, ListImagesOptions};
use bollard::{Docker, body_try_stream};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};

use super::BUILD;
use super::error::BuildError;
use crate::error::Error;
use crate::event::Event;
use crate::node::blocking;
use crate::runtime::engine::{Engine, EngineError};

const CHUNK: usize = 1 << 20;

/// Checks that a file looks like an archive, compressed or not.
pub(super) fn check(path: &Path) -> Result<(), BuildError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.map_err(|e| unreadable(path, e))?;
    // gzip, bzip2, xz, zstd; and the magic of tar(5) where it stands.
    let compressed = [&b"\x1f\x8b"[..], b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"];
    let is_archive = compressed.iter().any(|magic| head.starts_with(magic))
        || head.get(257..262) == Some(b"ustar");
    if is_archive {
        Ok(())
    } else {
        let path = path.to_owned();
        Err(BuildError::NoArchive { path })
    }
}

/// Sees to it that the engine has an image of the archive, and returns its id. One that was made of the same archive
/// before is taken, so that what was built on it then still counts.
pub(super) async fn ensure(
    engine: &Engine,
    path: &Path,
    listener: &Arc<dyn Fn(Event) + Send + Sync>,
) -> Result<String, Error> {
    let (file, digest) = digest(path.to_owned()).await?;
    if let Some(id) = find(engine, &digest).await? {
        return Ok(id);
    }
    listener(Event::Output(
        format!("importing {}\n", path.display()).into(),
    ));
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // Just one: Podman takes several for one.
        changes: vec![format!("LABEL {BUILD}={digest}")],
        ..CreateImageOptions::default()
    };
    let body = body_try_stream(chunks(file));
    let action = format!("import {}", path.display());
    engine
        .follow(
            action,
            move |docker| docker.create_image(Some(options), Some(body), None).boxed(),
            |_| Ok(()),
        )
        .await?;
    let id = find(engine, &digest).await?;
    id.ok_or_else(|| {
        Error::from(EngineError::Refused {
            kind: engine.kind(),
            action: format!("import {}", path.display()),
            status: 0,
            message: "it said that it did, but the image is not there".into(),
        })
    })
}

async fn find(engine: &Engine, digest: &str) -> Result<Option<String>, EngineError> {
    let options = ListImagesOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![format!("{BUILD}={digest}")],
        )])),
        ..ListImagesOptions::default()
    };
    let list = async move |docker: Docker| docker.list_images(Some(options)).await;
    let images = engine.call("list images", list).await?;
    // What is built on it has another value there.
    Ok(images.into_iter().map(|image| image.id).next())
}

async fn digest(path: PathBuf) -> Result<(File, String), BuildError> {
    blocking(move || {
        let read = || {
            let mut file = File::open(&path)?;
            let mut hash = Sha256::new();
            std::io::copy(&mut file, &mut hash)?;
            file.rewind()?;
            Ok((file, format!("{:x}", hash.finalize())))
        };
        read().map_err(|e| unreadable(&path, e))
    })
    .await
}

/// The contents of a file, piece by piece, so that it need not fit into memory.
fn chunks(file: File) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold(file, |mut file| {
        blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk)?;
            chunk.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(chunk), file)))
        })
    })
}

fn unreadable(path: &Path, source: std::io::Error) -> BuildError {
    BuildError::Read {
        what: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_told_from_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        archive.append_data(&mut header, "a", &b""[..]).unwrap();
        archive.finish().unwrap();
        check(&path).unwrap();
        std::fs::write(&path, "not a tar").unwrap();
        assert!(matches!(check(&path), Err(BuildError::NoArchive { .. })));
        assert!(matches!(
            check(Path::new("/nonexistent")),
            Err(BuildError::Read { .. })
        ));
    }
}
