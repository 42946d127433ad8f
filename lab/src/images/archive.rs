//! Reads archives into trees: tarballs in their usual compressions, Debian packages, layers.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::digest;
use super::tree::Tree;
use crate::catalog::{Digest, Version};

/// A Debian package as it was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version, with epoch and revision.
    pub version: Version,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The digest of the `.deb`.
    pub sha256: Digest,
}

/// Why an archive is not read. It travels in an [`io::Error`], for its file may fail otherwise too.
#[derive(Debug, thiserror::Error)]
enum NotRead {
    /// One of its entries is not taken.
    #[error("the entry {} is refused: {source}", path.display())]
    Entry {
        /// The entry's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A compression that the lab does not know.
    #[error("it is compressed with zstd, which the lab does not read; pack it as .tar.xz")]
    Zstd,
    /// It is not what Debian's packages are.
    #[error("it is no Debian package: {0}")]
    NoPackage(String),
}

/// Reads a tarball, compressed or not, into a tree.
///
/// # Errors
/// A file that is no tarball; an entry that climbs out by its path or by a link.
pub(super) fn read_tar(tree: &mut Tree, from: impl Read) -> io::Result<()> {
    let mut archive = tar::Archive::new(decompressed(from)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        add(tree, &path, &mut entry)
            .map_err(|source| io::Error::new(source.kind(), NotRead::Entry { path, source }))?;
    }
    Ok(())
}

fn add(tree: &mut Tree, path: &Path, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
    let target = entry.link_name()?.map(|target| target.into_owned());
    let executable = entry.header().mode()? & 0o111 != 0;
    match (entry.header().entry_type(), target) {
        (tar::EntryType::Directory, _) => tree.add_directory(path),
        (tar::EntryType::Symlink, Some(target)) => tree.add_link(path, &target),
        (tar::EntryType::Link, Some(target)) => tree.add_hard_link(path, &target),
        (kind, _) if kind.is_file() => tree.add_file(path, executable, entry),
        // Devices and pipes are of no use to what the lab runs; the engine makes /dev.
        _ => Ok(()),
    }
}

fn decompressed<'a>(from: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut from = BufReader::with_capacity(64 * 1024, from);
    let mut magic = [0; 6];
    let mut filled = 0;
    while filled < magic.len() {
        match from.read(&mut magic[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    let whole = io::Cursor::new(magic).take(filled as u64).chain(from);
    Ok(match &magic {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::read::MultiBzDecoder::new(whole)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::read::XzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            return Err(io::Error::new(io::ErrorKind::Unsupported, NotRead::Zstd));
        }
        _ => Box::new(whole),
    })
}

/// Reads a Debian package's files into a tree, as `dpkg-deb -x` would lay them out.
///
/// # Errors
/// A file that is no Debian package, or one with an entry that climbs out.
pub(super) fn read_deb(tree: &mut Tree, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let data = member(&mut file, "data.tar")?;
    read_tar(tree, data)
}

/// What a Debian package says of itself.
///
/// # Errors
/// A file that is no Debian package.
pub(super) fn describe_deb(path: &Path) -> io::Result<Package> {
    let mut file = File::open(path)?;
    let mut archive = tar::Archive::new(decompressed(member(&mut file, "control.tar")?)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry
            .path()?
            .file_name()
            .is_some_and(|name| name == "control")
        {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return package(&text, digest::of_file(path)?);
        }
    }
    Err(not_a_package("its control file is missing"))
}

fn package(control: &str, sha256: Digest) -> io::Result<Package> {
    let field = |name: &str| {
        let mut lines = control.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value
            .map(|value| value.trim().to_owned())
            .ok_or_else(|| not_a_package(&format!("its control file has no {name}")))
    };
    Ok(Package {
        name: field("Package")?,
        version: Version::new(field("Version")?),
        architecture: field("Architecture")?,
        sha256,
    })
}

/// Finds a member of an `ar` archive by the beginning of its name.
fn member<'a>(file: &'a mut File, name: &str) -> io::Result<impl Read + use<'a>> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    if &magic != b"!<arch>\n" {
        return Err(not_a_package("it is no ar archive"));
    }
    loop {
        let mut header = [0; 60];
        file.read_exact(&mut header)
            .map_err(|_| not_a_package(&format!("it has no {name}")))?;
        let size = std::str::from_utf8(&header[48..58])
            .ok()
            .and_then(|digits| digits.trim().parse::<u64>().ok())
            .ok_or_else(|| not_a_package("a member has no size"))?;
        if header.starts_with(name.as_bytes()) {
            return Ok(file.take(size));
        }
        let padded = size + size % 2;
        file.seek(SeekFrom::Current(i64::try_from(padded).unwrap_or(i64::MAX)))?;
    }
}

fn not_a_package(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        NotRead::NoPackage(why.to_owned()),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::images::tree::Kind;
    use rstest::rstest;
    use std::io::Write;

    /// A tar with one entry of that very path, which `tar::Header::set_path` would refuse to write.
    fn tar_of(path: &str, kind: tar::EntryType, target: &str) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend([0; 1024]);
        bytes
    }

    fn read(kind: Kind, bytes: &[u8]) -> io::Result<Tree> {
        let mut tree = Tree::new(kind, &std::env::temp_dir())?;
        read_tar(&mut tree, bytes)?;
        Ok(tree)
    }

    #[rstest]
    #[case::up("../evil", tar::EntryType::Regular, "")]
    #[case::absolute("/etc/evil", tar::EntryType::Regular, "")]
    #[case::directory("a/../../evil", tar::EntryType::Directory, "")]
    #[case::link("evil", tar::EntryType::Symlink, "../../etc/passwd")]
    #[case::hard_link("evil", tar::EntryType::Link, "../etc/passwd")]
    #[case::absolute_hard_link("evil", tar::EntryType::Link, "/etc/passwd")]
    fn entries_that_climb_out_are_refused_by_name(
        #[case] path: &str,
        #[case] kind: tar::EntryType,
        #[case] target: &str,
    ) {
        for tree in [Kind::Source, Kind::Root] {
            let error = read(tree, &tar_of(path, kind, target))
                .err()
                .unwrap()
                .to_string();
            assert!(error.contains(path), "{error}");
        }
    }

    #[test]
    fn every_compression_reads_the_same() {
        let plain = tar_of("a/b", tar::EntryType::Regular, "");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&plain).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        let expected = read(Kind::Source, &plain).unwrap().digest().unwrap();
        for packed in [
            gzip.finish().unwrap(),
            bzip2.finish().unwrap(),
            xz.finish().unwrap(),
        ] {
            let tree = read(Kind::Source, &packed).unwrap();
            assert_eq!(tree.digest().unwrap(), expected);
        }
    }

    #[test]
    fn zstd_is_refused_with_what_to_do() {
        let error = read(Kind::Source, &[0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0])
            .err()
            .unwrap();
        assert!(error.to_string().contains(".tar.xz"));
    }

    fn ar(members: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"!<arch>\n").unwrap();
        for (name, bytes) in members {
            let size = bytes.len();
            let dates = format!("{:<12}{:<6}{:<6}{:<8}", 0, 0, 0, 100644);
            writeln!(file, "{name:<16}{dates}{size:<10}`").unwrap();
            file.write_all(bytes).unwrap();
            file.write_all(&b"\n"[..size % 2]).unwrap();
        }
        file
    }

    #[test]
    fn a_package_says_what_it_is_and_gives_its_files() {
        let control = b"Package: netbase\nVersion: 1:6.4-1\nArchitecture: all\nDescription: x\n";
        let mut control_tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(control.len() as u64);
        header.set_mode(0o644);
        control_tar
            .append_data(&mut header, "./control", &control[..])
            .unwrap();
        let data = tar_of("./etc/protocols", tar::EntryType::Regular, "");
        let deb = ar(&[
            ("debian-binary", b"2.0"),
            ("control.tar", &control_tar.into_inner().unwrap()),
            ("data.tar", &data),
        ]);
        let package = describe_deb(deb.path()).unwrap();
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("netbase", "1:6.4-1")
        );
        let mut tree = Tree::new(Kind::Root, &std::env::temp_dir()).unwrap();
        read_deb(&mut tree, deb.path()).unwrap();
        assert!(tree.read(Path::new("etc/protocols")).unwrap().is_some());
    }

    #[rstest]
    #[case::text(b"hello, this is no archive")]
    #[case::empty(b"")]
    #[case::cut_short(b"!<arch>\ndebian-binary ")]
    fn what_is_no_package_is_refused(#[case] bytes: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        assert!(describe_deb(file.path()).is_err());
    }
}
