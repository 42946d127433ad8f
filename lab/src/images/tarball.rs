//! Looks for release tarballs by their digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::digest;
use super::event::{Event, Listener, Step, Unit};
use super::store::{Store, StoreError};
use crate::catalog::{Digest, Release};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(120);

/// Why a file is not a tarball that is looked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum TarballError {
    /// It is another one.
    #[error("{what} has the wrong digest: sha256 {expected} was expected, {found} was found")]
    WrongDigest {
        /// The file, or its address.
        what: String,
        /// The digest of what is looked for.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// It cannot be read.
    #[error("cannot read {what}: {source}")]
    Unreadable {
        /// The file.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The store does not take it in.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a tarball does not come from where it is published: half a sentence that names the host, not the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    /// The host has no such file.
    #[error("{host} does not have it (HTTP status {status})")]
    NotThere {
        /// Who answers.
        host: String,
        /// What.
        status: u16,
    },
    /// Nobody answers, or not to the end.
    #[error("{host} cannot be reached ({})", in_the_systems_words(source))]
    Unreachable {
        /// Who does not answer.
        host: String,
        /// Why.
        source: ureq::Error,
    },
    /// It cannot be written down.
    #[error("{archive} cannot be kept: {source}")]
    Unwritable {
        /// The tarball's file name.
        archive: String,
        /// The system's answer.
        source: io::Error,
    },
    /// What came is not it.
    #[error(transparent)]
    Tarball(#[from] TarballError),
}

/// That a release's tarball is nowhere, and what to do: the same words for every release that fails the same way.
#[derive(Debug, thiserror::Error)]
#[error(
    "its tarball is not in the store, in no --tarballs directory, {}, and {upstream}; give it with --tarballs DIR, or a \
     source tree with --builds FILE",
    match in_debian {
        Some(wrong) => format!("not in Debian's source package ({wrong})"),
        None => "in no source package of Debian's".to_owned(),
    }
)]
pub(super) struct Nowhere {
    /// What is in Debian's source package instead.
    pub(super) in_debian: Option<TarballError>,
    /// Why it does not come from upstream.
    #[source]
    pub(super) upstream: DownloadError,
}

/// The tarball in the store, or in one of the user's directories, from where it is taken into the store.
///
/// # Errors
/// A file of the release's name has another digest.
pub(super) fn at_hand(
    store: &Store,
    folders: &[PathBuf],
    release: &Release,
) -> Result<Option<PathBuf>, TarballError> {
    if let Some(path) = store.tarball(&release.sha256) {
        return Ok(Some(path));
    }
    for folder in folders {
        let path = folder.join(&release.archive);
        if path.is_file() {
            let what = path.display().to_string();
            return take(store, &path, what, &release.sha256).map(Some);
        }
    }
    Ok(None)
}

/// Takes a tarball, which messages call `what`, into the store, if it is the one.
///
/// # Errors
/// It has another digest, or cannot be read.
pub(super) fn take(
    store: &Store,
    path: &Path,
    what: String,
    expected: &Digest,
) -> Result<PathBuf, TarballError> {
    let found = digest_of(path, &what)?;
    if found != *expected {
        return Err(TarballError::WrongDigest {
            what,
            expected: expected.clone(),
            found,
        });
    }
    Ok(store.keep_tarball(path, expected)?)
}

/// The digest of a tarball of the user's own, if it is the one that is expected.
///
/// # Errors
/// It has another digest, or cannot be read.
pub(super) fn own(path: &Path, expected: Option<&Digest>) -> Result<Digest, TarballError> {
    let what = path.display().to_string();
    let found = digest_of(path, &what)?;
    match expected {
        Some(expected) if *expected != found => Err(TarballError::WrongDigest {
            what,
            expected: expected.clone(),
            found,
        }),
        _ => Ok(found),
    }
}

fn digest_of(path: &Path, what: &str) -> Result<Digest, TarballError> {
    digest::of_file(path).map_err(|source| TarballError::Unreadable {
        what: what.to_owned(),
        source,
    })
}

/// Fetches a tarball from where upstream publishes it, into the store. It blocks.
///
/// # Errors
/// The address cannot be reached, or what came has another digest.
pub(super) fn download(
    store: &Store,
    release: &Release,
    events: &Listener,
) -> Result<PathBuf, DownloadError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_resolve(Some(CONNECT))
        .timeout_global(Some(WHOLE))
        .build()
        .into();
    let unanswered = |error| unanswered(host(&release.url), error);
    let mut answer = agent.get(&release.url).call().map_err(unanswered)?;
    let unwritable = |source| DownloadError::Unwritable {
        archive: release.archive.clone(),
        source,
    };
    let total = answer.body().content_length();
    let mut file = tempfile::NamedTempFile::new_in(store.tmp()).map_err(unwritable)?;
    let mut body = answer.body_mut().as_reader();
    copy(&mut body, file.as_file_mut(), &mut |done| {
        events(Event::Progress {
            step: Step::Download {
                archive: release.archive.clone(),
            },
            done,
            total,
            unit: Unit::Bytes,
        });
    })
    .map_err(|error| unanswered(ureq::Error::Io(error)))?;
    Ok(take(
        store,
        file.path(),
        release.url.clone(),
        &release.sha256,
    )?)
}

fn host(url: &str) -> String {
    let uri: Option<ureq::http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(|uri| uri.host());
    host.unwrap_or(url).to_owned()
}

fn unanswered(host: String, error: ureq::Error) -> DownloadError {
    match error {
        ureq::Error::StatusCode(status) => DownloadError::NotThere { host, status },
        source => DownloadError::Unreachable { host, source },
    }
}

/// Why nobody answers; the system's own words follow Rust's.
fn in_the_systems_words(error: &ureq::Error) -> String {
    let why = match error {
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    why.rsplit("address information: ")
        .next()
        .unwrap_or(&why)
        .to_owned()
}

fn copy(from: &mut dyn Read, to: &mut File, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut done = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read])?;
        done += read as u64;
        progress(done);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn release(sha256: &Digest) -> Release {
        Release {
            date: "2022-05-13".to_owned(),
            archive: "iptables-1.8.8.tar.bz2".to_owned(),
            url: "http://127.0.0.1:9/iptables-1.8.8.tar.bz2".to_owned(),
            sha256: sha256.clone(),
            debian_source: None,
        }
    }

    #[test]
    fn a_tarball_in_a_named_directory_is_taken_into_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let release = release(&digest::of_bytes(b"tarball"));
        let folders = [folder.path().join("none"), folder.path().to_owned()];
        assert_eq!(at_hand(&store, &folders, &release).unwrap(), None);
        std::fs::write(folder.path().join(&release.archive), "tarball").unwrap();
        let found = at_hand(&store, &folders, &release).unwrap().unwrap();
        assert!(found.starts_with(store.path()));
        std::fs::remove_file(folder.path().join(&release.archive)).unwrap();
        let again = at_hand(&store, &folders, &release).unwrap();
        assert_eq!(again, Some(found));
    }

    #[test]
    fn a_wrong_digest_is_told_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let (expected, found) = (digest::of_bytes(b"tarball"), digest::of_bytes(b"evil"));
        let release = release(&expected);
        std::fs::write(folder.path().join(&release.archive), "evil").unwrap();
        let reason = at_hand(&store, &[folder.path().to_owned()], &release);
        let reason = reason.unwrap_err().to_string();
        assert!(reason.contains(expected.as_str()) && reason.contains(found.as_str()));
        assert!(reason.contains(&release.archive), "{reason}");
        assert_eq!(store.tarball(&expected), None);
    }

    #[test]
    fn an_address_that_does_not_answer_is_told_by_its_host_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let release = release(&digest::of_bytes(b"tarball"));
        let events: Listener = std::sync::Arc::new(|_| {});
        let reason = download(&store, &release, &events).unwrap_err().to_string();
        let expected = "127.0.0.1 cannot be reached (Connection refused";
        assert!(reason.starts_with(expected), "{reason}");
        assert!(!reason.contains(&release.archive), "{reason}");
    }

    #[test]
    fn a_wrong_digest_in_debians_source_package_is_told_beside_upstreams_answer() {
        let wrong = || TarballError::WrongDigest {
            what: "iptables_1.8.7.orig.tar.bz2".to_owned(),
            expected: digest::of_bytes(b"tarball"),
            found: digest::of_bytes(b"evil"),
        };
        let upstream = || DownloadError::NotThere {
            host: "www.netfilter.org".to_owned(),
            status: 404,
        };
        let nowhere = |in_debian| Nowhere {
            in_debian,
            upstream: upstream(),
        };
        let reason = nowhere(Some(wrong())).to_string();
        assert!(reason.contains(&wrong().to_string()), "{reason}");
        assert!(reason.contains(
            "and www.netfilter.org does not have it (HTTP status 404); give it with --tarballs DIR"
        ));
        assert!(!nowhere(None).to_string().contains("digest"));
    }

    #[test]
    fn a_name_that_is_not_known_is_told_in_the_systems_words() {
        let error =
            io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(
            unanswered("www.netfilter.org".to_owned(), ureq::Error::Io(error)).to_string(),
            "www.netfilter.org cannot be reached (Name or service not known)"
        );
    }
}
