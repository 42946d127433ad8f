//! The paths of a tree: what is at each of them, and where they lead through links. No path leads out of the tree.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::refused::Refused;
use super::spool::Content;

/// How many links a path may lead through, as in the kernel: in all, those that lead to links included.
const LINKS: usize = 40;

/// How deep a path may lie. Deeper ones are nobody's iptables, and what is written there could hardly be removed again.
const DEPTH: usize = 100;

/// How long a path may be, as in the kernel.
const LENGTH: usize = 4096;

/// Whether a link with an absolute target stays inside: it does in a root filesystem, it does not in a source tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::images) enum Kind {
    /// A root filesystem: `/` is its own top.
    Root,
    /// A source tree.
    Source,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File { executable: bool, content: Content },
    Link { target: PathBuf },
}

/// Directories, files and links by path. The parents of each are directories that are there too.
pub(super) struct Nodes {
    kind: Kind,
    by_path: BTreeMap<PathBuf, Node>,
}

impl Nodes {
    /// None yet.
    pub(super) fn new(kind: Kind) -> Nodes {
        Nodes {
            kind,
            by_path: BTreeMap::new(),
        }
    }

    /// What is at exactly this path.
    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        self.by_path.get(path)
    }

    /// All, parents first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Node)> {
        self.by_path.iter()
    }

    /// Puts a node at a path of the tree, in place of what is there.
    pub(super) fn insert(&mut self, path: PathBuf, node: Node) {
        self.by_path.insert(path, node);
    }

    /// Takes a node away.
    pub(super) fn remove(&mut self, path: &Path) {
        self.by_path.remove(path);
    }

    /// Takes away everything at and below the paths for which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.by_path.retain(|path, _| keep(path));
    }

    /// The only top directory, if everything is in one.
    pub(super) fn only_top(&self) -> Option<PathBuf> {
        let mut tops = self.by_path.keys().filter_map(|path| path.iter().next());
        let top = PathBuf::from(tops.next()?);
        let is_only = tops.all(|other| other == top) && self.get(&top) == Some(&Node::Directory);
        is_only.then_some(top)
    }

    /// Makes `top` the top; what is not below it goes.
    pub(super) fn strip(&mut self, top: &Path) {
        let nodes = std::mem::take(&mut self.by_path).into_iter();
        self.by_path = nodes
            .filter_map(|(path, node)| Some((path.strip_prefix(top).ok()?.to_owned(), node)))
            .filter(|(path, _)| !path.as_os_str().is_empty())
            .collect();
    }

    /// Moves everything below `folder`.
    pub(super) fn below(&mut self, folder: &Path) {
        let nodes = std::mem::take(&mut self.by_path).into_iter();
        self.by_path = nodes
            .map(|(path, node)| (folder.join(path), node))
            .collect();
        for parent in folder.ancestors().filter(|p| !p.as_os_str().is_empty()) {
            self.insert(parent.to_owned(), Node::Directory);
        }
    }

    /// The path, without links in it, of what `path` leads to; `None` where there is nothing.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let mut left = LINKS;
        let mut at = self.place_within(path, &mut left)?;
        while left > 0 {
            match self.get(&at) {
                Some(Node::Link { target }) => at = self.follow(&at, target, &mut left)?,
                Some(_) => return Ok(Some(at)),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether `path` leads to a directory.
    pub(super) fn leads_to_directory(&self, path: &Path) -> bool {
        let found = self.resolve(path).ok().flatten();
        found.is_some_and(|at| self.get(&at) == Some(&Node::Directory))
    }

    /// Where `path` really lies, with the links followed that its parents are.
    pub(super) fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let mut left = LINKS;
        self.place_within(path, &mut left)
    }

    /// The same, if no more than `left` links are on the way.
    fn place_within(&self, path: &Path, left: &mut usize) -> io::Result<PathBuf> {
        let path = inside(path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(path);
        };
        let mut place = PathBuf::new();
        for part in parent {
            place.push(part);
            while let Some(Node::Link { target }) = self.get(&place) {
                if self.kind == Kind::Source {
                    return Err(Refused::ThroughLink(place).into());
                }
                place = self.follow(&place, target, left)?;
            }
        }
        place.push(name);
        Ok(place)
    }

    /// Where a link leads, if no more than `left` links are on the way.
    fn follow(&self, link: &Path, target: &Path, left: &mut usize) -> io::Result<PathBuf> {
        let rest = left.checked_sub(1);
        *left = rest.ok_or_else(|| Refused::TooManyLinks(link.to_owned()))?;
        let mut at = match target.is_absolute() {
            true => PathBuf::new(),
            false => link.parent().unwrap_or(Path::new("")).to_owned(),
        };
        for part in target.components() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::ParentDir if !at.pop() => return Err(Refused::link(link, target)),
                _ => {}
            }
        }
        // The target's own parents may be links too: `/lib/x` with `/lib -> usr/lib`.
        self.place_within(&at, left)
    }

    /// Makes sure that a link at `link` may hold `target`.
    ///
    /// # Errors
    /// It would lead out.
    pub(super) fn check_target(&self, link: &Path, target: &Path) -> io::Result<()> {
        if target.is_absolute() && self.kind == Kind::Source {
            return Err(Refused::link(link, target));
        }
        let mut depth = match target.is_absolute() {
            true => 0,
            false => link.components().count() - 1,
        };
        for part in target.components() {
            match part {
                Component::Normal(_) => depth += 1,
                Component::ParentDir if depth == 0 => return Err(Refused::link(link, target)),
                Component::ParentDir => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The path as one inside a tree.
///
/// # Errors
/// It is absolute, has `..` in it, or is too long.
fn inside(path: &Path) -> io::Result<PathBuf> {
    if path.as_os_str().len() > LENGTH || path.components().count() > DEPTH {
        return Err(Refused::TooDeep { depth: DEPTH }.into());
    }
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(Refused::Climbs.into()),
            Component::RootDir | Component::Prefix(_) => return Err(Refused::Absolute.into()),
        }
    }
    Ok(clean)
}
