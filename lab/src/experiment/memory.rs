//! What earlier runs learnt of transitions: how much there is, and taking it away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::failure::{Failure, OrFailure};
use super::select::select;
use super::session::SessionOptions;
use crate::catalog::BuildId;
use crate::images::Store;
use crate::runner::kept::{self, Shelf};

/// What is taken away.
#[derive(Debug, Clone, Default)]
pub struct Clear {
    /// Only of kernels whose release and build have these words.
    pub kernel: Option<String>,
    /// Only of builds that are called so, or match this.
    pub build: Vec<String>,
    /// Only what no run has added to for so long.
    pub older_than: Option<Duration>,
}

/// What is kept, machine by machine, and where.
///
/// # Errors
/// The store cannot be opened or read.
pub fn list(options: &SessionOptions) -> Result<(Vec<Shelf>, PathBuf), Failure> {
    let store = Store::open(&options.store_path()?).or_lacks()?;
    let folder = store.memory();
    let read = kept::shelves(&folder).map_err(|error| unreadable(&folder, &error));
    Ok((read?, folder))
}

/// Takes away what `clear` names. Returns how many bytes that were.
///
/// # Errors
/// As [`list`], and something cannot be removed.
pub fn clear(clear: &Clear, options: &SessionOptions) -> Result<u64, Failure> {
    let (shelves, folder) = list(options)?;
    let named = match clear.build.as_slice() {
        [] => None,
        patterns => Some(named(&shelves, &folder, patterns)?),
    };
    let named = named.as_ref().map(|ids| |id: &BuildId| ids.contains(id));
    let named = named
        .as_ref()
        .map(|named| named as &dyn Fn(&BuildId) -> bool);
    let before = clear.older_than.map(|age| SystemTime::now() - age);
    let mut bytes = 0;
    for shelf in shelves {
        let words = clear.kernel.as_ref();
        if words.is_none_or(|words| shelf.machine.kernel.contains(words.as_str())) {
            let cleared = shelf.clear(before, named);
            bytes += cleared.map_err(|error| unreadable(&folder, &error))?;
        }
    }
    Ok(bytes)
}

/// The builds of which something is known and that `patterns` name.
fn named(
    shelves: &[Shelf],
    folder: &Path,
    patterns: &[String],
) -> Result<BTreeSet<BuildId>, Failure> {
    let mut known = BTreeSet::new();
    for builds in by_build(shelves, folder)? {
        known.extend(builds.into_keys());
    }
    let known: Vec<BuildId> = known.into_iter().collect();
    let named = select("build", &known, |id| id.as_str(), patterns).or_bad_input()?;
    Ok(named.into_iter().cloned().collect())
}

/// How many transitions are known of each build, machine by machine.
///
/// # Errors
/// Something cannot be read.
pub fn by_build(
    shelves: &[Shelf],
    folder: &Path,
) -> Result<Vec<BTreeMap<BuildId, usize>>, Failure> {
    let builds = shelves.iter().map(Shelf::builds);
    let builds: std::io::Result<_> = builds.collect();
    builds.map_err(|error| unreadable(folder, &error))
}

fn unreadable(folder: &Path, error: &std::io::Error) -> Failure {
    let said = miette::miette!("{}: {error}", folder.display());
    Failure::of(super::failure::FailureKind::Lacks, said)
}
