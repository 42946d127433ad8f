//! What is kept on disk, machine by machine: counted, and taken away.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::block::{Blocks, KeptBurst, MAGIC};
use super::{Kept, MACHINE, MOST_FILES, Machine, files_of, when};
use crate::catalog::BuildId;

/// What is kept for one machine.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Which machine.
    pub machine: Machine,
    /// How many transitions.
    pub transitions: usize,
    /// How many bytes on disk.
    pub bytes: u64,
    /// When the oldest file was written last, and the newest.
    pub between: Option<(SystemTime, SystemTime)>,
    /// Where it is.
    folder: PathBuf,
}

/// What is kept in `folder`, machine by machine.
///
/// # Errors
/// Something cannot be read.
pub fn shelves(folder: &Path) -> io::Result<Vec<Shelf>> {
    let mut shelves = Vec::new();
    for entry in fs::read_dir(folder)? {
        let folder = entry?.path();
        let Ok(about) = fs::read(folder.join(MACHINE)) else {
            continue;
        };
        let Ok(machine) = serde_json::from_slice::<Machine>(&about) else {
            continue;
        };
        let files = files_of(&folder)?;
        let kept = Kept::open(folder.parent().unwrap_or(&folder), &machine)?;
        let times = || files.iter().map(|(_, of)| when(of));
        shelves.push(Shelf {
            machine,
            transitions: kept.places.len(),
            bytes: files.iter().map(|(_, of)| of.len()).sum(),
            between: times().min().zip(times().max()),
            folder,
        });
    }
    shelves.sort_by_key(|shelf: &Shelf| shelf.machine.name());
    Ok(shelves)
}

impl Shelf {
    /// How many transitions are known of each build.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn builds(&self) -> io::Result<BTreeMap<BuildId, usize>> {
        let mut builds = BTreeMap::new();
        for (path, _) in files_of(&self.folder)? {
            for block in Blocks::of(&path)? {
                let bursts = block?.bursts.into_iter();
                for build in bursts.filter_map(|burst| burst.build) {
                    *builds.entry(build).or_default() += 1;
                }
            }
        }
        Ok(builds)
    }

    /// Takes away what was written before `before`, of all builds or of those that are `named`. Returns how many bytes that were. What
    /// a living run writes stays.
    ///
    /// # Errors
    /// A file cannot be read, removed or written anew.
    pub fn clear(
        &self,
        before: Option<SystemTime>,
        named: Option<&dyn Fn(&BuildId) -> bool>,
    ) -> io::Result<u64> {
        let mut bytes = 0;
        for (path, of) in files_of(&self.folder)? {
            if before.is_some_and(|before| when(&of) >= before) {
                continue;
            }
            bytes += match named {
                Some(named) => without(&path, &of, named)?,
                None => {
                    remove(&path)?;
                    of.len()
                }
            };
        }
        Ok(bytes)
    }
}

/// Writes a file anew without the transitions of the builds that are `named`. Returns how many bytes it is shorter.
fn without(path: &Path, of: &fs::Metadata, named: &dyn Fn(&BuildId) -> bool) -> io::Result<u64> {
    // Who writes a file holds its lock.
    if File::open(path)?.try_lock().is_err() {
        return Ok(0);
    }
    let (mut anew, mut is_changed) = (MAGIC.to_vec(), false);
    for block in Blocks::of(path)? {
        let mut block = block?;
        let before = block.bursts.len();
        let is_named = |burst: &KeptBurst| burst.build.as_ref().is_some_and(named);
        block.bursts.retain(|burst| !is_named(burst));
        is_changed |= block.bursts.len() < before;
        // What others refer to stays: the states.
        if !block.bursts.is_empty() || !block.states.is_empty() {
            anew.extend(block.packed()?);
        }
    }
    if !is_changed {
        return Ok(0);
    }
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&anew)?;
    file.as_file().set_modified(when(of))?;
    file.persist(path)?;
    Ok(of.len().saturating_sub(anew.len() as u64))
}

/// Takes the oldest files of all machines away until no more than `limit` bytes are left.
///
/// # Errors
/// A file cannot be removed.
pub fn tidy(folder: &Path, limit: u64) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let files = files_of(&entry?.path())?;
        let surplus = files.len().saturating_sub(MOST_FILES);
        for (path, _) in &files[..surplus] {
            remove(path)?;
        }
        all.extend(files.into_iter().skip(surplus));
    }
    all.sort_by_key(|(path, of)| (when(of), path.clone()));
    let mut bytes: u64 = all.iter().map(|(_, of)| of.len()).sum();
    for (path, of) in all {
        if bytes <= limit {
            break;
        }
        remove(&path)?;
        bytes -= of.len();
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
