//! Whatever a run starts in Docker goes when the run ends; after SIGKILL the next start removes it.
//!
//! A run holds a lock on a file of its own, and labels what it starts with its id and that file's path: what carries
//! the path of a file that nobody holds was left by a run that is dead.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future;
use nix::fcntl::{Flock, FlockArg};

use crate::catalog::names::{Folder, HOST_LABEL, LABEL, LOCK_LABEL, RUN_LABEL};
use crate::docker::{Docker, DockerError};

/// What the name of a lock file ends with.
const SUFFIX: &str = "lock";

/// How often a run's containers are listed again before what is still there is left to the next start.
const ROUNDS: u32 = 100;

/// A living run's claim on what it starts. Dropping it gives up the claim.
pub struct Claim {
    run: String,
    path: PathBuf,
    _lock: Flock<File>,
}

/// Why a run could not stake its claim.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the run's lock {} cannot be taken: {source}", path.display())]
#[diagnostic(help("give a store that can be written with --store"))]
pub struct ClaimError {
    path: PathBuf,
    source: io::Error,
}

impl Claim {
    /// Stakes a claim with a lock file in `store`.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn new(store: &Path) -> Result<Self, ClaimError> {
        let folder = store.join(Folder::Runs.name());
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let run = format!("{:x}-{:x}", now.as_millis(), std::process::id());
        let path = folder.join(format!("{run}.{SUFFIX}"));
        let failed = |source: io::Error| ClaimError {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let path = folder.join(format!("{run}.{SUFFIX}"));
        // It gets its name when it is held: whoever sees the name and finds it free knows that the run is dead.
        let unnamed = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
        let (file, unnamed) = unnamed.into_parts();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| failed(errno.into()))?;
        unnamed
            .persist(&path)
            .map_err(|error| failed(error.error))?;
        remove_files_of_dead_runs(&folder);
        Ok(Claim {
            run,
            path,
            _lock: lock,
        })
    }

    /// The run's id: hexadecimal digits and a hyphen.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// A directory of the run's own, which is made by who needs it, and goes with the claim.
    pub fn directory(&self) -> PathBuf {
        self.path.with_extension("")
    }

    /// What everything that the run starts is labelled with.
    pub fn labels(&self) -> HashMap<String, String> {
        HashMap::from([
            (LABEL.to_owned(), "1".to_owned()),
            (RUN_LABEL.to_owned(), self.run.clone()),
            (LOCK_LABEL.to_owned(), self.path.display().to_string()),
            (HOST_LABEL.to_owned(), host()),
        ])
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.directory());
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The lock files of killed runs. What they left in Docker names a file that is not there, so nobody holds it.
fn remove_files_of_dead_runs(folder: &Path) {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let locks = files
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == SUFFIX));
    for path in locks.filter(|path| !is_held(path)) {
        // What cannot be removed now is tried again by the next run.
        let _ = std::fs::remove_dir_all(path.with_extension(""));
        let _ = std::fs::remove_file(path);
    }
}

/// Removes the containers of `run`, and waits until they are gone: the daemon may be removing some already, because
/// whoever held them dropped them.
///
/// # Errors
/// The daemon does not answer, or does not remove them.
pub async fn remove_of_run(docker: &Docker, run: &str) -> Result<(), DockerError> {
    for _ in 0..ROUNDS {
        let all = docker.own_containers().await?;
        let of_run = all
            .iter()
            .filter(|container| container.labels.get(RUN_LABEL).is_some_and(|of| of == run));
        let removed = of_run.map(|container| docker.remove_container(&container.id));
        let removed = future::join_all(removed).await;
        if removed.is_empty() {
            return Ok(());
        }
        removed.into_iter().collect::<Result<Vec<()>, _>>()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Removes the containers of runs on this machine that are dead.
///
/// # Errors
/// The daemon does not answer.
pub async fn remove_of_dead_runs(docker: &Docker) -> Result<(), DockerError> {
    for container in docker.own_containers().await? {
        let of_this_machine = container.labels.get(HOST_LABEL) == Some(&host());
        let lock = container.labels.get(LOCK_LABEL).map(Path::new);
        if of_this_machine && lock.is_some_and(|lock| !is_held(lock)) {
            docker.remove_container(&container.id).await?;
        }
    }
    Ok(())
}

/// Whether a living run holds the lock. One that cannot be looked at may be held.
fn is_held(lock: &Path) -> bool {
    match File::open(lock) {
        Ok(file) => Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// A daemon may serve several machines and containers: a lock file's path means something only on its own. The id of
/// the mount namespace tells containers on one machine apart, the boot id machines.
fn host() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mounts = std::fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    format!("{}/{}", boot.trim(), mounts.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_held_until_it_is_dropped() {
        let store = tempfile::tempdir().unwrap();
        let claim = Claim::new(store.path()).unwrap();
        let lock = PathBuf::from(&claim.labels()[LOCK_LABEL]);
        assert!(is_held(&lock));
        drop(claim);
        assert!(!is_held(&lock));
    }

    #[test]
    fn the_lock_files_of_dead_runs_go_and_those_of_living_runs_stay() {
        let store = tempfile::tempdir().unwrap();
        let alive = Claim::new(store.path()).unwrap();
        let dead = store.path().join(Folder::Runs.name()).join("dead.lock");
        File::create(&dead).unwrap();
        let _next = Claim::new(store.path()).unwrap();
        assert!(alive.path.exists() && !dead.exists());
    }

    #[test]
    fn a_lock_file_that_nobody_holds_is_of_a_dead_run() {
        let store = tempfile::tempdir().unwrap();
        let lock = store.path().join("dead.lock");
        File::create(&lock).unwrap();
        assert!(!is_held(&lock));
    }
}
