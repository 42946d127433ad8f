//! A file tree that is not on disk: what archives are unpacked into, and what normalised tars are written from.
//!
//! Nothing that an archive says can reach outside of it, because nothing is unpacked onto a real file system.

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn tree(kind: Kind) -> Tree {
        Tree::new(kind, &std::env::temp_dir()).unwrap()
    }

    fn add(tree: &mut Tree, path: &str, text: &str) -> io::Result<()> {
        tree.add_file(Path::new(path), false, &mut text.as_bytes())
    }

    fn link(tree: &mut Tree, path: &str, target: &str) -> io::Result<()> {
        tree.add_link(Path::new(path), Path::new(target))
    }

    fn read(tree: &Tree, path: &str) -> Option<String> {
        let bytes = tree.read(Path::new(path)).unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_same_content_gives_the_same_tar_in_whatever_order_it_came() {
        let mut one = tree(Kind::Root);
        add(&mut one, "usr/bin/a", "A").unwrap();
        add(&mut one, "etc/b", "B").unwrap();
        link(&mut one, "bin", "usr/bin").unwrap();
        let mut other = tree(Kind::Root);
        link(&mut other, "bin", "usr/bin").unwrap();
        add(&mut other, "etc/b", "something else").unwrap();
        add(&mut other, "./etc/b", "B").unwrap();
        add(&mut other, "bin/a", "A").unwrap();
        let mut bytes = (Vec::new(), Vec::new());
        let digests = (
            one.write_tar(&mut bytes.0).unwrap(),
            other.write_tar(&mut bytes.1).unwrap(),
        );
        assert_eq!(bytes.0, bytes.1);
        assert_eq!(digests.0, digests.1);
        assert_eq!(digests.0, crate::images::digest::of_bytes(&bytes.0));
    }

    #[rstest]
    #[case::up(Kind::Root, "../a")]
    #[case::up_within(Kind::Source, "a/../../b")]
    #[case::absolute(Kind::Root, "/etc/passwd")]
    fn paths_that_climb_out_are_refused(#[case] kind: Kind, #[case] path: &str) {
        assert!(add(&mut tree(kind), path, "").is_err());
        assert!(tree(kind).add_directory(Path::new(path)).is_err());
        assert!(link(&mut tree(kind), path, "a").is_err());
    }

    #[rstest]
    #[case::up(Kind::Root, "a", "../b", false)]
    #[case::far_up(Kind::Root, "a/b", "../../c", false)]
    #[case::up_and_down(Kind::Root, "a/b/c", "../d/../../e", true)]
    #[case::absolute_in_a_root(Kind::Root, "a", "/usr/b", true)]
    #[case::absolute_out_of_a_root(Kind::Root, "a", "/../b", false)]
    #[case::absolute_in_a_source(Kind::Source, "a", "/etc", false)]
    #[case::beside_in_a_source(Kind::Source, "a/b", "../c", true)]
    fn links_must_stay_inside(
        #[case] kind: Kind,
        #[case] path: &str,
        #[case] target: &str,
        #[case] allowed: bool,
    ) {
        assert_eq!(link(&mut tree(kind), path, target).is_ok(), allowed);
    }

    #[test]
    fn nothing_is_written_through_a_link_of_a_source_tree() {
        let mut tree = tree(Kind::Source);
        add(&mut tree, "real/a", "").unwrap();
        link(&mut tree, "link", "real").unwrap();
        assert!(add(&mut tree, "link/b", "").is_err());
    }

    #[test]
    fn a_root_is_followed_through_its_links_as_after_chroot() {
        let mut tree = tree(Kind::Root);
        link(&mut tree, "lib", "usr/lib").unwrap();
        add(&mut tree, "lib/x/real.so.1", "library").unwrap();
        link(&mut tree, "lib/x/lib.so", "/lib/x/real.so.1").unwrap();
        link(&mut tree, "etc/alternative", "../lib/x/lib.so").unwrap();
        assert_eq!(read(&tree, "usr/lib/x/real.so.1").unwrap(), "library");
        assert_eq!(read(&tree, "etc/alternative").unwrap(), "library");
        assert_eq!(read(&tree, "etc/none"), None);
    }

    #[test]
    fn links_in_a_circle_end() {
        let mut tree = tree(Kind::Root);
        link(&mut tree, "a", "b/x").unwrap();
        link(&mut tree, "b", "a/y").unwrap();
        assert!(add(&mut tree, "a/z", "").is_err());
        link(&mut tree, "self", "self").unwrap();
        assert_eq!(read(&tree, "self"), None);
    }

    #[test]
    fn links_that_lead_through_links_that_lead_through_links_end() {
        let mut tree = tree(Kind::Root);
        link(&mut tree, "a/0", ".").unwrap();
        for number in 1..60 {
            let target = vec![(number - 1).to_string(); 30].join("/");
            link(&mut tree, &format!("a/{number}"), &target).unwrap();
        }
        add(&mut tree, "a/file", "text").unwrap();
        assert_eq!(read(&tree, "a/0/0/0/file").unwrap(), "text");
        assert!(add(&mut tree, "a/59/file", "").is_err());
    }

    #[test]
    fn what_is_larger_than_it_may_be_is_refused_however_often_it_is_there() {
        let mut tree = tree(Kind::Root).holding(10_000);
        add(&mut tree, "a", &"x".repeat(6000)).unwrap();
        let again = tree.add_hard_link(Path::new("b"), Path::new("a"));
        assert!(again.unwrap_err().to_string().contains("larger"));
        let folders = (0..).map(|number| tree.add_directory(Path::new(&number.to_string())));
        assert!(folders.take(20).any(|added| added.is_err()));
    }

    #[rstest]
    #[case::deep("a/".repeat(200))]
    #[case::long("a".repeat(5000))]
    fn no_path_is_too_deep_to_be_removed_again(#[case] path: String) {
        assert!(add(&mut tree(Kind::Root), &path, "").is_err());
    }

    #[rstest]
    #[case::within("usr")]
    #[case::absolute("/usr")]
    #[case::nowhere("/none")]
    fn nothing_is_mounted_over_what_a_link_leads_to(#[case] target: &str) {
        let mut tree = tree(Kind::Root);
        add(&mut tree, "usr/a", "").unwrap();
        link(&mut tree, "proc", target).unwrap();
        tree.add_mount_point(Path::new("proc")).unwrap();
        let place = tree.nodes.get(Path::new("proc"));
        assert_eq!(place, Some(&Node::Directory));
    }

    #[test]
    fn what_a_link_leads_to_was_not_left_by_who_made_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("out");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let mut tree = tree(Kind::Root);
        assert!(tree.add_left(&link).is_err());
        assert!(tree.nodes.is_empty());
    }

    #[test]
    fn a_second_name_has_the_same_bytes_and_must_lead_to_something() {
        let mut tree = tree(Kind::Source);
        add(&mut tree, "a", "bytes").unwrap();
        tree.add_hard_link(Path::new("b/c"), Path::new("a"))
            .unwrap();
        assert_eq!(read(&tree, "b/c").unwrap(), "bytes");
        assert!(
            tree.add_hard_link(Path::new("d"), Path::new("/etc/passwd"))
                .is_err()
        );
        assert!(
            tree.add_hard_link(Path::new("d"), Path::new("none"))
                .is_err()
        );
    }

    #[test]
    fn the_only_top_directory_is_stripped_and_another_is_put_over() {
        let mut tree = tree(Kind::Source);
        add(&mut tree, "iptables-1.8.8/iptables/main.c", "int").unwrap();
        tree.strip_top();
        assert_eq!(read(&tree, "iptables/main.c").unwrap(), "int");
        tree.below(Path::new("build/source"));
        assert_eq!(read(&tree, "build/source/iptables/main.c").unwrap(), "int");
    }
}
