//! The causes of a run that was made, and what is known of them.

use std::path::Path;

use miette::miette;

use super::failure::{Failure, OrFailure};
use crate::cause::{KnownCause, KnownCauses, causes};
use crate::matrix::Matrix;
use crate::report;

/// The causes of a run, the worst first, each with how it is shown there.
pub fn of_matrix(matrix: &Matrix) -> Vec<KnownCause> {
    report::causes::shown(matrix, &causes(matrix))
}

/// What this program knows of causes.
pub fn built_in() -> Vec<KnownCause> {
    KnownCauses::built_in().iter().cloned().collect()
}

/// The cause of that name.
///
/// # Errors
/// There is none; with the names that there are.
pub fn named<'c>(all: &'c [KnownCause], name: &str) -> Result<&'c KnownCause, Failure> {
    let found = all.iter().find(|of| of.name == name);
    found
        .ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|of| of.name.as_str()).collect();
            miette!("no cause is called {name}; there are: {}", names.join(", "))
        })
        .or_bad_input()
}

/// What a file of causes holds.
///
/// # Errors
/// It cannot be read, or is none of causes.
pub fn of_file(path: &Path) -> Result<KnownCauses, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| miette!("{} cannot be read: {error}", path.display()))
        .or_bad_input()?;
    KnownCauses::read(&text)
        .map_err(|error| miette!("{}: {error}", path.display()))
        .or_bad_input()
}

/// What a file of causes gained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// How many that were in it were seen again.
    pub known: usize,
    /// How many are new.
    pub new: usize,
    /// All that it holds now.
    pub all: Vec<KnownCause>,
}

/// Puts what a run showed of causes into a file of them, and when an `earlier` file has seen them. One that is not there is made of what
/// this program knows.
///
/// # Errors
/// A file cannot be read or written, or is none of causes.
pub fn complete(
    path: &Path,
    earlier: Option<&Path>,
    shown: &[KnownCause],
) -> Result<Completed, Failure> {
    let mut known = match path.exists() {
        true => of_file(path)?,
        false => KnownCauses::built_in().clone(),
    };
    if let Some(earlier) = earlier {
        known.take_in_days(&of_file(earlier)?);
    }
    let before = known.iter().count();
    known.take_in(shown.to_vec());
    let new = known.iter().count() - before;
    known
        .write(path)
        .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
        .or_lacks()?;
    Ok(Completed {
        known: shown.len() - new,
        new,
        all: known.iter().cloned().collect(),
    })
}
