//! A file tree that is not on disk: what archives are unpacked into, and what normalised tars are written from.
//!
//! Nothing that an archive says can reach outside of it, because nothing is unpacked onto a real file system.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::Sha256;

use super::digest::{Hashing, finish};
use crate::catalog::Digest;

/// How many links a path may lead through, as in the kernel: in all, those that lead to links included.
const LINKS: usize = 40;

/// How deep a path may lie. Deeper ones are nobody's iptables, and what is written there could hardly be removed again.
const DEPTH: usize = 100;

/// How long a path may be, as in the kernel.
const LENGTH: usize = 4096;

/// What a directory, a file or a link takes beside its bytes, about.
const NODE: u64 = 512;

/// Whether a link with an absolute target stays inside: it does in a root filesystem, it does not in a source tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A root filesystem: `/` is its own top.
    Root,
    /// A source tree.
    Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Directory,
    File { executable: bool, content: Content },
    Link { target: PathBuf },
}

/// Where a file's bytes lie in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    offset: u64,
    length: u64,
}

/// Directories, files and links by path; contents lie in one unnamed temporary file.
pub(super) struct Tree {
    kind: Kind,
    nodes: BTreeMap<PathBuf, Node>,
    spool: File,
    spooled: u64,
    /// What may still be taken in.
    room: u64,
}

impl Tree {
    /// An empty tree, its contents to be kept in `folder`.
    pub(super) fn new(kind: Kind, folder: &Path) -> io::Result<Tree> {
        Ok(Tree {
            kind,
            nodes: BTreeMap::new(),
            spool: tempfile::tempfile_in(folder)?,
            spooled: 0,
            room: u64::MAX,
        })
    }

    /// Refuses from now on what would make it larger than so many bytes: nobody's word is taken for what is in an archive,
    /// nor for what a file is said to hold.
    pub(super) fn holding(mut self, bytes: u64) -> Tree {
        self.room = bytes;
        self
    }

    /// Reads a directory of the machine, without `.git`.
    pub(super) fn read_dir(kind: Kind, top: &Path, folder: &Path) -> io::Result<Tree> {
        let mut tree = Tree::new(kind, folder)?;
        tree.add_dir_of_machine(top, Path::new(""))?;
        Ok(tree)
    }

    /// Takes in the directory `top`, which somebody else's program has made, or something else under its name.
    ///
    /// # Errors
    /// It is no directory: what a link leads to is the machine's, and not that program's.
    pub(super) fn add_left(&mut self, top: &Path) -> io::Result<()> {
        match std::fs::symlink_metadata(top)?.is_dir() {
            true => self.add_dir_of_machine(top, Path::new("")),
            false => Err(no_directory(top)),
        }
    }

    fn add_dir_of_machine(&mut self, top: &Path, inner: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(top.join(inner))? {
            let entry = entry?;
            if inner.as_os_str().is_empty() && entry.file_name() == ".git" {
                continue;
            }
            let path = inner.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.add_directory(&path)?;
                self.add_dir_of_machine(top, &path)?;
            } else if kind.is_symlink() {
                self.add_link(&path, &std::fs::read_link(entry.path())?)?;
            } else if kind.is_file() {
                self.add_file_of_machine(&path, &entry.path())?;
            }
        }
        Ok(())
    }

    /// Takes a file of the machine in at `path`.
    pub(super) fn add_file_of_machine(&mut self, path: &Path, from: &Path) -> io::Result<()> {
        let mut file = File::open(from)?;
        let executable = file.metadata()?.permissions().mode() & 0o111 != 0;
        self.add_file(path, executable, &mut file)
    }

    /// Adds a directory, and its parents; a link to a directory that is there already stays.
    pub(super) fn add_directory(&mut self, path: &Path) -> io::Result<()> {
        let path = self.place(path)?;
        if path.as_os_str().is_empty() || self.leads_to_directory(&path) {
            return Ok(());
        }
        self.put(path, Node::Directory)
    }

    /// Adds a directory that something is to be mounted at. A link of that name goes: it would be followed out of the tree.
    pub(super) fn add_mount_point(&mut self, path: &Path) -> io::Result<()> {
        if matches!(self.nodes.get(path), Some(Node::Link { .. })) {
            self.nodes.remove(path);
        }
        self.add_directory(path)
    }

    /// Adds a file, and its parents; replaces one that is there.
    pub(super) fn add_file(
        &mut self,
        path: &Path,
        executable: bool,
        from: &mut dyn Read,
    ) -> io::Result<()> {
        let path = self.place(path)?;
        let content = self.spool(from)?;
        let node = Node::File {
            executable,
            content,
        };
        self.put(path, node)
    }

    /// Adds a symbolic link, and its parents.
    pub(super) fn add_link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let path = self.place(path)?;
        self.check_target(&path, target)?;
        let node = Node::Link {
            target: target.to_owned(),
        };
        self.put(path, node)
    }

    /// Adds a second name for a file that is there.
    pub(super) fn add_hard_link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let target = self.place(target)?;
        let path = self.place(path)?;
        match self.nodes.get(&target).cloned() {
            Some(node @ Node::File { content, .. }) => {
                // Who writes the tree down writes its bytes twice.
                self.take(content.length)?;
                self.put(path, node)
            }
            Some(node @ Node::Link { .. }) => self.put(path, node),
            _ => Err(refused(format!(
                "its hard link leads to {}, which is not in it",
                target.display()
            ))),
        }
    }

    /// The bytes of the file that `path` leads to.
    pub(super) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let Some(Node::File { content, .. }) =
            self.resolve(path)?.and_then(|at| self.nodes.get(&at))
        else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.contents(*content).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The path, without links in it, of what `path` leads to; `None` where there is nothing.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let mut left = LINKS;
        let mut at = self.place_within(path, &mut left)?;
        while left > 0 {
            match self.nodes.get(&at) {
                Some(Node::Link { target }) => at = self.follow(&at, target, &mut left)?,
                Some(_) => return Ok(Some(at)),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Copies the file that `path` leads to from another tree, to the same path.
    pub(super) fn copy_from(&mut self, other: &Tree, path: &Path) -> io::Result<()> {
        let Some(bytes) = other.read(path)? else {
            return Err(refused(format!("it has no {}", path.display())));
        };
        self.add_file(path, false, &mut bytes.as_slice())
    }

    /// Takes away everything at and below the paths for which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.nodes.retain(|path, _| keep(path));
    }

    /// Makes the directory `top` the top.
    ///
    /// # Errors
    /// It is no directory.
    pub(super) fn enter(&mut self, top: &Path) -> io::Result<()> {
        if self.nodes.get(top) != Some(&Node::Directory) {
            return Err(no_directory(top));
        }
        self.strip(top);
        Ok(())
    }

    /// Makes the only top directory, if everything is in one, the top: release tarballs have one.
    pub(super) fn strip_top(&mut self) {
        let mut tops = self.nodes.keys().filter_map(|path| path.iter().next());
        let Some(top) = tops.next().map(PathBuf::from) else {
            return;
        };
        if tops.any(|other| other != top) || self.nodes.get(&top) != Some(&Node::Directory) {
            return;
        }
        self.strip(&top);
    }

    fn strip(&mut self, top: &Path) {
        let nodes = std::mem::take(&mut self.nodes).into_iter();
        self.nodes = nodes
            .filter_map(|(path, node)| Some((path.strip_prefix(top).ok()?.to_owned(), node)))
            .filter(|(path, _)| !path.as_os_str().is_empty())
            .collect();
    }

    /// Moves everything below `folder`.
    pub(super) fn below(&mut self, folder: &Path) {
        let nodes = std::mem::take(&mut self.nodes).into_iter();
        self.nodes = nodes
            .map(|(path, node)| (folder.join(path), node))
            .collect();
        for parent in folder.ancestors().filter(|p| !p.as_os_str().is_empty()) {
            self.nodes.insert(parent.to_owned(), Node::Directory);
        }
    }

    /// Writes the tree as a tar that depends on nothing but its content: sorted, times zero, owner root, fixed modes.
    pub(super) fn write_tar(&self, to: impl Write) -> io::Result<Digest> {
        let mut archive = tar::Builder::new(Hashing::<_, Sha256>::new(to));
        for (path, node) in &self.nodes {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match node {
                Node::Directory => {
                    header.set_entry_type(tar::EntryType::Directory);
                    header.set_mode(0o755);
                    archive.append_data(&mut header, path, io::empty())?;
                }
                Node::File {
                    executable,
                    content,
                } => {
                    header.set_entry_type(tar::EntryType::Regular);
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    header.set_size(content.length);
                    archive.append_data(&mut header, path, self.contents(*content))?;
                }
                Node::Link { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        let (mut to, hash) = archive.into_inner()?.into_parts();
        to.flush()?;
        Ok(finish(hash))
    }

    /// Writes the tree's files below a directory of the machine; links are left out.
    pub(super) fn write_files(&self, top: &Path) -> io::Result<()> {
        for (path, node) in &self.nodes {
            match node {
                Node::Directory => std::fs::create_dir_all(top.join(path))?,
                Node::File { content, .. } => {
                    let mut file = File::create(top.join(path))?;
                    io::copy(&mut self.contents(*content), &mut file)?;
                }
                Node::Link { .. } => {}
            }
        }
        Ok(())
    }

    /// Writes the tree below an empty directory of the machine, modes and links included. Nothing that it writes leads
    /// through a link: a node's parents are directories.
    pub(super) fn write_root(&self, top: &Path) -> io::Result<()> {
        for (path, node) in &self.nodes {
            let path = top.join(path);
            match node {
                Node::Directory => std::fs::create_dir(path)?,
                Node::File {
                    executable,
                    content,
                } => {
                    let mut file = File::create_new(path)?;
                    io::copy(&mut self.contents(*content), &mut file)?;
                    let mode = if *executable { 0o755 } else { 0o644 };
                    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
                    // As in a tar of it: make compares times, and may find nothing older than what it is made from.
                    file.set_modified(std::time::UNIX_EPOCH)?;
                }
                Node::Link { target } => std::os::unix::fs::symlink(target, path)?,
            }
        }
        Ok(())
    }

    /// The digest of what [`Tree::write_tar`] writes.
    pub(super) fn digest(&self) -> io::Result<Digest> {
        self.write_tar(io::sink())
    }

    fn spool(&mut self, from: &mut dyn Read) -> io::Result<Content> {
        let offset = self.spooled;
        let mut buffer = [0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.take(read as u64)?;
            self.spool.write_all_at(&buffer[..read], self.spooled)?;
            self.spooled += read as u64;
        }
        let length = self.spooled - offset;
        Ok(Content { offset, length })
    }

    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.room.checked_sub(bytes);
        self.room = left.ok_or_else(|| refused("it is larger than any iptables".to_owned()))?;
        Ok(())
    }

    fn contents(&self, content: Content) -> impl Read {
        Contents {
            spool: &self.spool,
            at: content.offset,
            end: content.offset + content.length,
        }
    }

    fn put(&mut self, path: PathBuf, node: Node) -> io::Result<()> {
        let parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty())
            .collect();
        for parent in parents {
            match self.nodes.get(parent) {
                Some(Node::Directory) => break,
                Some(_) => return Err(refused(format!("{} is no directory", parent.display()))),
                None => self.insert(parent.to_owned(), Node::Directory)?,
            }
        }
        if self.nodes.get(&path) == Some(&Node::Directory) && node != Node::Directory {
            return Err(refused(format!("{} is a directory", path.display())));
        }
        self.insert(path, node)
    }

    fn insert(&mut self, path: PathBuf, node: Node) -> io::Result<()> {
        self.take(NODE + path.as_os_str().len() as u64)?;
        self.nodes.insert(path, node);
        Ok(())
    }

    fn leads_to_directory(&self, path: &Path) -> bool {
        let found = self.resolve(path).ok().flatten();
        found.is_some_and(|at| self.nodes.get(&at) == Some(&Node::Directory))
    }

    /// Where `path` really lies, with the links followed that its parents are.
    fn place(&self, path: &Path) -> io::Result<PathBuf> {
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
            while let Some(Node::Link { target }) = self.nodes.get(&place) {
                if self.kind == Kind::Source {
                    let message = format!("it goes through the link {}", place.display());
                    return Err(refused(message));
                }
                place = self.follow(&place, target, left)?;
            }
        }
        place.push(name);
        Ok(place)
    }

    /// Where a link leads, if no more than `left` links are on the way.
    fn follow(&self, link: &Path, target: &Path, left: &mut usize) -> io::Result<PathBuf> {
        let Some(rest) = left.checked_sub(1) else {
            let message = format!(
                "{} leads through more links than a path may",
                link.display()
            );
            return Err(refused(message));
        };
        *left = rest;
        let mut at = match target.is_absolute() {
            true => PathBuf::new(),
            false => link.parent().unwrap_or(Path::new("")).to_owned(),
        };
        for part in target.components() {
            match part {
                Component::Normal(name) => at.push(name),
                Component::ParentDir if !at.pop() => return Err(climbs(link, target)),
                _ => {}
            }
        }
        // The target's own parents may be links too: `/lib/x` with `/lib -> usr/lib`.
        self.place_within(&at, left)
    }

    fn check_target(&self, link: &Path, target: &Path) -> io::Result<()> {
        if target.is_absolute() && self.kind == Kind::Source {
            return Err(climbs(link, target));
        }
        let mut depth = match target.is_absolute() {
            true => 0,
            false => link.components().count() - 1,
        };
        for part in target.components() {
            match part {
                Component::Normal(_) => depth += 1,
                Component::ParentDir if depth == 0 => return Err(climbs(link, target)),
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
        let message = format!("it lies more than {DEPTH} folders deep, or its path is too long");
        return Err(refused(message));
    }
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(refused("its path climbs with `..`".to_owned())),
            Component::RootDir | Component::Prefix(_) => {
                return Err(refused("its path is absolute".to_owned()));
            }
        }
    }
    Ok(clean)
}

fn climbs(link: &Path, target: &Path) -> io::Error {
    refused(format!(
        "the link {} leads out of it, to {}",
        link.display(),
        target.display()
    ))
}

fn no_directory(path: &Path) -> io::Error {
    refused(format!("{} is no directory", path.display()))
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

struct Contents<'a> {
    spool: &'a File,
    at: u64,
    end: u64,
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = self.spool.read_at(&mut buffer[..wanted], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
