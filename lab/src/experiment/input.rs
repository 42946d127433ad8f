//! Files that are given to a command; `-` is standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use miette::miette;

use super::failure::{Failure, OrFailure};

/// What a file holds, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input<T> {
    /// Its path, or `standard input`.
    pub name: String,
    /// What it holds.
    pub holds: T,
}

/// Reads a file of text.
///
/// # Errors
/// It cannot be read, or is no UTF-8.
pub fn text(path: &Path) -> Result<Input<String>, Failure> {
    read(path, |from, text| from.read_to_string(text))
}

/// Reads a file of whatever bytes.
///
/// # Errors
/// It cannot be read.
pub fn bytes(path: &Path) -> Result<Input<Vec<u8>>, Failure> {
    read(path, |from, bytes| from.read_to_end(bytes))
}

fn read<T: Default>(
    path: &Path,
    all: impl Fn(&mut dyn Read, &mut T) -> io::Result<usize>,
) -> Result<Input<T>, Failure> {
    let mut holds = T::default();
    let (name, read) = match path.as_os_str() == "-" {
        true => (
            "standard input".to_owned(),
            all(&mut io::stdin().lock(), &mut holds),
        ),
        false => (
            path.display().to_string(),
            File::open(path).and_then(|mut file| all(&mut file, &mut holds)),
        ),
    };
    read.map_err(|error| miette!("{name} cannot be read: {error}"))
        .or_bad_input()?;
    Ok(Input { name, holds })
}
