//! What earlier runs learnt of transitions: how much there is, and taking it away.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::failure::{Failure, OrFailure};
use super::session::SessionOptions;
use crate::images::Store;
use crate::runner::kept::{self, Shelf};

/// What is taken away.
#[derive(Debug, Clone, Default)]
pub struct Clear {
    /// Only of kernels whose release and build have these words.
    pub kernel: Option<String>,
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
    let before = clear.older_than.map(|age| SystemTime::now() - age);
    let mut bytes = 0;
    for shelf in shelves {
        let words = clear.kernel.as_ref();
        if words.is_none_or(|words| shelf.machine.kernel.contains(words.as_str())) {
            let cleared = shelf.clear(before);
            bytes += cleared.map_err(|error| unreadable(&folder, &error))?;
        }
    }
    Ok(bytes)
}

fn unreadable(folder: &std::path::Path, error: &std::io::Error) -> Failure {
    let said = miette::miette!("{}: {error}", folder.display());
    Failure::of(super::failure::FailureKind::Lacks, said)
}
