//! A file tree that is not on disk: what archives are unpacked into, and what normalised tars are written from.
//!
//! Nothing that an archive says can reach outside of it, because nothing is unpacked onto a real file system.

mod nodes;
mod refused;
mod spool;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::Sha256;

use super::digest::{Hashing, finish};
use crate::catalog::Digest;
use nodes::{Node, Nodes};
use refused::Refused;
use spool::Spool;

pub(super) use nodes::Kind;

/// What a directory, a file or a link takes beside its bytes, about.
const NODE: u64 = 512;

/// Directories, files and links by path; contents lie in one unnamed temporary file.
pub(super) struct Tree {
    nodes: Nodes,
    spool: Spool,
}

impl Tree {
    /// An empty tree, its contents to be kept in `folder`.
    pub(super) fn new(kind: Kind, folder: &Path) -> io::Result<Tree> {
        Ok(Tree {
            nodes: Nodes::new(kind),
            spool: Spool::new(folder)?,
        })
    }

    /// Refuses from now on what would make it larger than so many bytes: nobody's word is taken for what is in an archive,
    /// nor for what a file is said to hold.
    pub(super) fn holding(mut self, bytes: u64) -> Tree {
        self.spool.limit(bytes);
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
            false => Err(Refused::NoDirectory(top.to_owned()).into()),
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
        let path = self.nodes.place(path)?;
        if path.as_os_str().is_empty() || self.nodes.leads_to_directory(&path) {
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
        let path = self.nodes.place(path)?;
        let content = self.spool.add(from)?;
        let node = Node::File {
            executable,
            content,
        };
        self.put(path, node)
    }

    /// Adds a symbolic link, and its parents.
    pub(super) fn add_link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let path = self.nodes.place(path)?;
        self.nodes.check_target(&path, target)?;
        let node = Node::Link {
            target: target.to_owned(),
        };
        self.put(path, node)
    }

    /// Adds a second name for a file that is there.
    pub(super) fn add_hard_link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        let target = self.nodes.place(target)?;
        let path = self.nodes.place(path)?;
        match self.nodes.get(&target).cloned() {
            Some(node @ Node::File { content, .. }) => {
                // Who writes the tree down writes its bytes twice.
                self.spool.take(content.length)?;
                self.put(path, node)
            }
            Some(node @ Node::Link { .. }) => self.put(path, node),
            _ => Err(Refused::NoSuchFile(target).into()),
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
        self.spool.read(*content).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// The path, without links in it, of what `path` leads to; `None` where there is nothing.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.nodes.resolve(path)
    }

    /// Copies the file that `path` leads to from another tree, to the same path.
    pub(super) fn copy_from(&mut self, other: &Tree, path: &Path) -> io::Result<()> {
        let Some(bytes) = other.read(path)? else {
            return Err(Refused::Lacks(path.to_owned()).into());
        };
        self.add_file(path, false, &mut bytes.as_slice())
    }

    /// Takes in all of another tree, at the same paths; what is there goes.
    pub(super) fn add_tree(&mut self, other: &Tree) -> io::Result<()> {
        for (path, node) in other.nodes.iter() {
            match node {
                Node::Directory => self.add_directory(path)?,
                Node::Link { target } => self.add_link(path, target)?,
                Node::File {
                    executable,
                    content,
                } => self.add_file(path, *executable, &mut other.spool.read(*content))?,
            }
        }
        Ok(())
    }

    /// Takes away everything at and below the paths for which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        self.nodes.retain(keep);
    }

    /// Takes away what is at the paths for which `is_it` says yes. Says whether there was such a thing.
    pub(super) fn take_out(&mut self, is_it: impl Fn(&Path) -> bool) -> bool {
        let before = self.nodes.iter().count();
        self.nodes.retain(|path| !is_it(path));
        self.nodes.iter().count() < before
    }

    /// Makes the directory `top` the top.
    ///
    /// # Errors
    /// It is no directory.
    pub(super) fn enter(&mut self, top: &Path) -> io::Result<()> {
        if self.nodes.get(top) != Some(&Node::Directory) {
            return Err(Refused::NoDirectory(top.to_owned()).into());
        }
        self.nodes.strip(top);
        Ok(())
    }

    /// Makes the only top directory, if everything is in one, the top: release tarballs have one.
    pub(super) fn strip_top(&mut self) {
        if let Some(top) = self.nodes.only_top() {
            self.nodes.strip(&top);
        }
    }

    /// Moves everything below `folder`.
    pub(super) fn below(&mut self, folder: &Path) {
        self.nodes.below(folder);
    }

    /// Writes the tree as a tar that depends on nothing but its content: sorted, times zero, owner root, fixed modes.
    pub(super) fn write_tar(&self, to: impl Write) -> io::Result<Digest> {
        let mut archive = tar::Builder::new(Hashing::<_, Sha256>::new(to));
        for (path, node) in self.nodes.iter() {
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
                    archive.append_data(&mut header, path, self.spool.read(*content))?;
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
        for (path, node) in self.nodes.iter() {
            match node {
                Node::Directory => std::fs::create_dir_all(top.join(path))?,
                Node::File { content, .. } => {
                    let mut file = File::create(top.join(path))?;
                    io::copy(&mut self.spool.read(*content), &mut file)?;
                }
                Node::Link { .. } => {}
            }
        }
        Ok(())
    }

    /// Writes the tree below an empty directory of the machine, modes and links included. Nothing that it writes leads
    /// through a link: a node's parents are directories.
    pub(super) fn write_root(&self, top: &Path) -> io::Result<()> {
        for (path, node) in self.nodes.iter() {
            let path = top.join(path);
            match node {
                Node::Directory => std::fs::create_dir(path)?,
                Node::File {
                    executable,
                    content,
                } => {
                    let mut file = File::create_new(path)?;
                    io::copy(&mut self.spool.read(*content), &mut file)?;
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

    fn put(&mut self, path: PathBuf, node: Node) -> io::Result<()> {
        let parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|parent| !parent.as_os_str().is_empty())
            .collect();
        for parent in parents {
            match self.nodes.get(parent) {
                Some(Node::Directory) => break,
                Some(_) => return Err(Refused::NoDirectory(parent.to_owned()).into()),
                None => self.insert(parent.to_owned(), Node::Directory)?,
            }
        }
        if self.nodes.get(&path) == Some(&Node::Directory) && node != Node::Directory {
            return Err(Refused::IsDirectory(path).into());
        }
        self.insert(path, node)
    }

    fn insert(&mut self, path: PathBuf, node: Node) -> io::Result<()> {
        self.spool.take(NODE + path.as_os_str().len() as u64)?;
        self.nodes.insert(path, node);
        Ok(())
    }
}
