//! What a tree takes from nobody.

use std::io;
use std::path::{Path, PathBuf};

/// Why a tree does not take something in. It travels in an [`io::Error`], for what is read may fail otherwise too.
#[derive(Debug, thiserror::Error)]
pub(in crate::images) enum Refused {
    /// A link would lead out.
    #[error("the link {} leads out of it, to {}", link.display(), target.display())]
    LinkLeadsOut {
        /// Where the link lies.
        link: PathBuf,
        /// What it holds.
        target: PathBuf,
    },
    /// In a source tree nothing may lie behind a link.
    #[error("it goes through the link {}", .0.display())]
    ThroughLink(PathBuf),
    /// More links than the kernel follows.
    #[error("{} leads through more links than a path may", .0.display())]
    TooManyLinks(PathBuf),
    /// A hard link's other name is not there.
    #[error("its hard link leads to {}, which is not in it", .0.display())]
    NoSuchFile(PathBuf),
    /// A file or a link is where a directory has to be.
    #[error("{} is no directory", .0.display())]
    NoDirectory(PathBuf),
    /// A directory is where a file or a link was to be.
    #[error("{} is a directory", .0.display())]
    IsDirectory(PathBuf),
    /// A file that was asked for is not there.
    #[error("it has no {}", .0.display())]
    Lacks(PathBuf),
    /// A path that could hardly be removed again.
    #[error("it lies more than {depth} folders deep, or its path is too long")]
    TooDeep {
        /// How deep a path may lie.
        depth: usize,
    },
    /// A path with `..` in it.
    #[error("its path climbs with `..`")]
    Climbs,
    /// A path that begins at the machine's own root.
    #[error("its path is absolute")]
    Absolute,
    /// More bytes than are taken.
    #[error("it is larger than any iptables")]
    TooLarge,
}

impl Refused {
    /// That a link would lead out.
    pub(super) fn link(link: &Path, target: &Path) -> io::Error {
        let (link, target) = (link.to_owned(), target.to_owned());
        Refused::LinkLeadsOut { link, target }.into()
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, refused)
    }
}
