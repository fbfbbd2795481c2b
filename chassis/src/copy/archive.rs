//! The tar stream between the two ends of a copy.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, FileTimes, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tar::{Archive, Builder, EntryType, Header};
use walkdir::WalkDir;

use super::target::Source;
use super::{CopyOptions, LeftOut};

/// Writes a source, under a name or without one for what is in it. Returns what it left out.
pub(super) fn pack(
    source: &Source,
    name: Option<&OsStr>,
    to: impl Write,
    options: CopyOptions,
) -> io::Result<LeftOut> {
    let mut packer = Packer {
        tar: Builder::new(to),
        linked: HashMap::new(),
        left_out: Vec::new(),
    };
    let walk = WalkDir::new(&source.path).follow_root_links(options.follow);
    for entry in walk {
        let entry = entry?;
        let below = entry.path().strip_prefix(&source.path);
        let below = below.map_err(io::Error::other)?;
        let arrives = match name {
            // The folder that is there already is none of what is copied.
            None if entry.depth() == 0 => continue,
            None => below.to_owned(),
            Some(name) if entry.depth() == 0 => PathBuf::from(name),
            Some(name) => Path::new(name).join(below),
        };
        packer.add(entry.path(), &entry.metadata()?, &arrives)?;
    }
    packer.tar.into_inner()?.flush()?;
    Ok(packer.left_out)
}

struct Packer<W: Write> {
    tar: Builder<W>,
    /// Where files went that have other names as well, by device and inode.
    linked: HashMap<(u64, u64), PathBuf>,
    left_out: LeftOut,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, path: &Path, metadata: &Metadata, arrives: &Path) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_metadata(metadata);
        let kind = metadata.file_type();
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            let leads_to = std::fs::read_link(path)?;
            return self.tar.append_link(&mut header, arrives, leads_to);
        }
        if kind.is_dir() {
            return self.tar.append_data(&mut header, arrives, io::empty());
        }
        if !kind.is_file() {
            self.left_out.push(path.to_owned());
            return Ok(());
        }
        let inode = (metadata.dev(), metadata.ino());
        if let Some(first) = self.linked.get(&inode) {
            header.set_entry_type(EntryType::Link);
            header.set_size(0);
            return self.tar.append_link(&mut header, arrives, first);
        }
        // Exactly as much as the header says, even if somebody writes to the file or truncates it meanwhile.
        let data = File::open(path)?.take(metadata.len());
        let data = data.chain(io::repeat(0)).take(metadata.len());
        self.tar.append_data(&mut header, arrives, data)?;
        if metadata.nlink() > 1 {
            self.linked.insert(inode, arrives.to_owned());
        }
        Ok(())
    }
}

/// Unpacks a stream into a folder.
pub(super) fn unpack(from: impl Read, folder: &Path, options: CopyOptions) -> io::Result<()> {
    let mut archive = Archive::new(from);
    archive.set_preserve_permissions(true);
    archive.set_preserve_ownerships(options.owners);
    // Their modes and times come last: what is put into them changes the times and may need another mode.
    let mut folders = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            folders.push(entry);
            continue;
        }
        match entry.unpack_in(folder) {
            Ok(true) => {}
            Ok(false) => return Err(outside(&entry.path()?)),
            // Another name of a file, unlike all else, does not replace what is there. That it is below the folder was
            // seen by then.
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && entry.header().entry_type() == EntryType::Link =>
            {
                std::fs::remove_file(below(folder, &entry.path()?))?;
                entry.unpack_in(folder)?;
            }
            Err(error) => return Err(error),
        }
    }
    // Those below others first: what sorts later is deeper.
    folders.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut entry in folders {
        let name = entry.path()?.into_owned();
        if !entry.unpack_in(folder)? {
            return Err(outside(&name));
        }
        let modified = Duration::from_secs(entry.header().mtime()?);
        let times = FileTimes::new().set_modified(UNIX_EPOCH + modified);
        File::open(below(folder, &name))?.set_times(times)?;
    }
    Ok(())
}

/// Where an entry of that name is unpacked.
fn below(folder: &Path, name: &Path) -> PathBuf {
    let parts = name.components();
    let parts = parts.filter(|part| matches!(part, Component::Normal(_)));
    folder.join(parts.collect::<PathBuf>())
}

fn outside(path: &Path) -> io::Error {
    let path = path.display();
    io::Error::other(format!("the entry {path} leads out of the folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_out_is_refused() {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..9].copy_from_slice(b"../escape");
        header.set_size(0);
        header.set_mode(0o644);
        header.set_entry_type(EntryType::Regular);
        header.set_cksum();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let error = unpack(&header.as_bytes()[..], &folder, CopyOptions::default()).unwrap_err();
        assert!(error.to_string().contains("leads out"), "{error}");
        assert!(!place.path().join("escape").exists());
    }
}
