//! Looks for release tarballs by their digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::digest;
use super::event::{Event, Listener, Step, Unit};
use super::store::Store;
use crate::catalog::{Digest, Release};

const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(120);

/// The tarball in the store, or in one of the user's directories, from where it is taken into the store.
///
/// # Errors
/// A file of the release's name has another digest; one sentence with both.
pub(super) fn at_hand(
    store: &Store,
    folders: &[PathBuf],
    release: &Release,
) -> Result<Option<PathBuf>, String> {
    if let Some(path) = store.tarball(&release.sha256) {
        return Ok(Some(path));
    }
    for folder in folders {
        let path = folder.join(&release.archive);
        if path.is_file() {
            let told = path.display().to_string();
            return take(store, &path, &told, &release.sha256).map(Some);
        }
    }
    Ok(None)
}

/// Takes a tarball, which messages call `told`, into the store, if it is the one.
///
/// # Errors
/// It has another digest, or cannot be read; one sentence.
pub(super) fn take(
    store: &Store,
    path: &Path,
    told: &str,
    expected: &Digest,
) -> Result<PathBuf, String> {
    let found = digest::of_file(path).map_err(|e| format!("cannot read {told}: {e}"))?;
    if found != *expected {
        return Err(wrong_digest(told, expected, &found));
    }
    store
        .keep_tarball(path, expected)
        .map_err(|e| e.to_string())
}

pub(super) fn wrong_digest(what: &str, expected: &Digest, found: &Digest) -> String {
    format!("{what} has the wrong digest: sha256 {expected} was expected, {found} was found")
}

/// Why a release's tarball cannot be had: the same words for every release that fails the same way.
pub(super) fn nowhere(in_debian: Option<&str>, upstream: &str) -> String {
    let debian = match in_debian {
        Some(wrong) => format!("not in Debian's source package ({wrong})"),
        None => "in no source package of Debian's".to_owned(),
    };
    format!(
        "its tarball is not in the store, in no --tarballs directory, {debian}, and {upstream}; give it with \
         --tarballs DIR, or a source tree with --builds FILE"
    )
}

/// Fetches a tarball from where upstream publishes it, into the store. It blocks.
///
/// # Errors
/// The address cannot be reached, or what came has another digest; half a sentence that names the host, not the file.
pub(super) fn download(
    store: &Store,
    release: &Release,
    events: &Listener,
) -> Result<PathBuf, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_resolve(Some(CONNECT))
        .timeout_global(Some(WHOLE))
        .build()
        .into();
    let answer = agent.get(&release.url).call();
    let mut answer = answer.map_err(|e| unanswered(&host(&release.url), &e))?;
    let unwritable = |e: io::Error| format!("{} cannot be kept: {e}", release.archive);
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
    .map_err(|e| unanswered(&host(&release.url), &ureq::Error::Io(e)))?;
    let found = digest::of_file(file.path()).map_err(unwritable)?;
    if found != release.sha256 {
        return Err(wrong_digest(&release.url, &release.sha256, &found));
    }
    let kept = store.keep_tarball(file.path(), &release.sha256);
    kept.map_err(|e| e.to_string())
}

fn host(url: &str) -> String {
    let uri: Option<ureq::http::Uri> = url.parse().ok();
    let host = uri.as_ref().and_then(|uri| uri.host());
    host.unwrap_or(url).to_owned()
}

fn unanswered(host: &str, error: &ureq::Error) -> String {
    let why = match error {
        ureq::Error::StatusCode(status) => {
            return format!("{host} does not have it (HTTP status {status})");
        }
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    // The system's own words follow Rust's.
    let why = why.rsplit("address information: ").next().unwrap_or(&why);
    format!("{host} cannot be reached ({why})")
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
        assert_eq!(at_hand(&store, &folders, &release), Ok(None));
        std::fs::write(folder.path().join(&release.archive), "tarball").unwrap();
        let found = at_hand(&store, &folders, &release).unwrap().unwrap();
        assert!(found.starts_with(store.path()));
        std::fs::remove_file(folder.path().join(&release.archive)).unwrap();
        assert_eq!(at_hand(&store, &folders, &release), Ok(Some(found)));
    }

    #[test]
    fn a_wrong_digest_is_told_with_both() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let (expected, found) = (digest::of_bytes(b"tarball"), digest::of_bytes(b"evil"));
        let release = release(&expected);
        std::fs::write(folder.path().join(&release.archive), "evil").unwrap();
        let reason = at_hand(&store, &[folder.path().to_owned()], &release).unwrap_err();
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
        let reason = download(&store, &release, &events).unwrap_err();
        let expected = "127.0.0.1 cannot be reached (Connection refused";
        assert!(reason.starts_with(expected), "{reason}");
        assert!(!reason.contains(&release.archive), "{reason}");
    }

    #[test]
    fn a_wrong_digest_in_debians_source_package_is_told_beside_upstreams_answer() {
        let wrong = wrong_digest(
            "iptables_1.8.7.orig.tar.bz2",
            &digest::of_bytes(b"tarball"),
            &digest::of_bytes(b"evil"),
        );
        let reason = nowhere(Some(&wrong), "www.netfilter.org cannot be reached (why)");
        assert!(reason.contains(&wrong), "{reason}");
        assert!(reason.contains("www.netfilter.org cannot be reached (why)"));
        assert!(!nowhere(None, "").contains("digest"));
    }

    #[test]
    fn a_name_that_is_not_known_is_told_in_the_systems_words() {
        let error =
            io::Error::other("failed to lookup address information: Name or service not known");
        assert_eq!(
            unanswered("www.netfilter.org", &ureq::Error::Io(error)),
            "www.netfilter.org cannot be reached (Name or service not known)"
        );
    }
}
