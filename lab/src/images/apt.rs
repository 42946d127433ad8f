//! Fetches Debian packages and sources with a private apt, on the host or in a Debian container.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::archive;
use super::event::{Listener, Step};
use super::scratch::Scratch;
use super::store::{Store, StoreError};
use super::task::step;
use super::tree::{Kind, Tree};
use crate::catalog::names::APT_IMAGE;
use crate::docker::{Docker, DockerError, Download, Network, Run};

const SCRIPT: &str = include_str!("../../../images/fetch.sh");

/// The script's exit status where there is no apt that is set up with Debian's archive.
const NO_DEBIAN_APT: i32 = 10;

/// Why apt fetches nothing. Its own words name the machine's mirror, and Docker's its registry: they are in the store's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum AptError {
    /// Neither the machine nor a container has what it takes.
    #[error(
        "this machine has no apt that is set up with Debian's archive, and no Docker daemon answers that could run one: \
         install the package debian-archive-keyring and give apt a source, or start Docker"
    )]
    NoApt,
    /// The machine has no apt, and the image that has one cannot be had.
    #[error(
        "this machine has no apt that is set up with Debian's archive, and the image {APT_IMAGE} cannot be pulled (what it \
         says is in {}): load that image with `docker load`, or run the lab where apt or a registry can be reached",
        log.display()
    )]
    NoImage {
        /// What Docker says.
        log: PathBuf,
    },
    /// The image has no apt either.
    #[error(
        "the image {APT_IMAGE} has no apt that is set up with Debian's archive and can reach it"
    )]
    NoAptInImage,
    /// The script that calls apt fails.
    #[error("fetching packages failed ({status}): what it says is in {}", log.display())]
    Script {
        /// What it is asked for packages of.
        suite: String,
        /// How it ended.
        status: String,
        /// What it says.
        log: PathBuf,
    },
    /// Apt cannot fetch the packages of a set.
    #[error("apt-get cannot fetch them{}", log.iter().map(|log| format!("; what it says is in {}", log.display())).collect::<String>())]
    Packages {
        /// What it says, if it says something.
        log: Option<PathBuf>,
    },
    /// Apt cannot fetch the packages of a set, and there is no room for what it says either.
    #[error("apt-get cannot fetch them: {} ({})", Errno::ENOSPC.desc(), store.display())]
    NoRoom {
        /// Where there is none.
        store: PathBuf,
    },
    /// Apt cannot be run, or its files not be written or read.
    #[error("cannot {what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// Docker fails.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An answer of the system to `what`.
fn system(what: &'static str) -> impl Fn(io::Error) -> AptError {
    move |source| AptError::System { what, source }
}

/// What is wanted of one suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// Package sets by name.
    pub(super) sets: BTreeMap<String, Vec<String>>,
    /// Source packages, as `apt-get source` takes them.
    pub(super) sources: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// The files of each set; none of one that could not be had.
    pub(super) sets: BTreeMap<String, Option<Vec<PathBuf>>>,
    /// What apt says of those that could not be had.
    pub(super) log: Option<PathBuf>,
    /// The files of the source packages that could be had.
    pub(super) sources: Vec<PathBuf>,
    /// Holds the files.
    _folder: Option<Scratch>,
}

/// What came of the script on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    Done,
    /// The host has no apt for Debian's archive.
    NoApt,
}

/// The private apt of one run.
pub(super) struct Apt<'a> {
    pub(super) docker: Option<&'a Docker>,
    pub(super) store: &'a Store,
    pub(super) labels: &'a HashMap<String, String>,
    pub(super) events: &'a Listener,
    image: OnceCell<()>,
}

impl<'a> Apt<'a> {
    pub(super) fn new(
        docker: Option<&'a Docker>,
        store: &'a Store,
        labels: &'a HashMap<String, String>,
        events: &'a Listener,
    ) -> Self {
        Apt {
            docker,
            store,
            labels,
            events,
            image: OnceCell::new(),
        }
    }

    /// Fetches what is wanted of `suite`.
    ///
    /// # Errors
    /// Apt runs neither on the host nor in a container.
    pub(super) async fn fetch(&self, suite: &str, want: &Want) -> Result<Fetched, AptError> {
        let folder = self.store.scratch()?;
        write_wants(folder.path(), want).map_err(system("ask apt"))?;
        if self.on_host(folder.path(), suite).await? == Ran::NoApt {
            self.in_container(folder.path(), suite).await?;
        }
        let unreadable = system("read what apt fetched");
        let words = words_of_apt(folder.path(), want).map_err(&unreadable)?;
        let log = match words.is_empty() {
            true => None,
            false => Some(self.store.keep_log(&log_of(suite), words.as_bytes())?),
        };
        let fetched = collect(folder.path(), want).map_err(unreadable)?;
        Ok(Fetched {
            log,
            _folder: Some(folder),
            ..fetched
        })
    }

    fn script_failed(&self, suite: &str, status: String, output: &[u8]) -> AptError {
        match self.store.keep_log(&log_of(suite), output) {
            Ok(log) => AptError::Script {
                suite: suite.to_owned(),
                status,
                log,
            },
            Err(error) => error.into(),
        }
    }

    async fn on_host(&self, folder: &Path, suite: &str) -> Result<Ran, AptError> {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "fetch.sh"])
            .arg(folder)
            .arg(suite)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(system("run sh to fetch packages"))?;
        let mut group = Group(child.id());
        let ran = child.wait_with_output().await;
        group.0 = None;
        let ran = ran.map_err(system("wait for apt-get"))?;
        match ran.status.code() {
            Some(0) => Ok(Ran::Done),
            Some(NO_DEBIAN_APT) => Ok(Ran::NoApt),
            _ => Err(self.script_failed(suite, ran.status.to_string(), &ran.stderr)),
        }
    }

    async fn in_container(&self, folder: &Path, suite: &str) -> Result<(), AptError> {
        let docker = self.docker.ok_or(AptError::NoApt)?;
        self.image
            .get_or_try_init(|| self.have_image(docker))
            .await?;
        let (upload, download) = (folder.join("upload.tar"), folder.join("download.tar"));
        let tree = Tree::read_dir(Kind::Source, folder, &self.store.tmp());
        tree.and_then(|mut tree| {
            tree.below(Path::new("fetch"));
            tree.write_tar(std::fs::File::create(&upload)?)
        })
        .map_err(system("pack what is asked of apt"))?;
        let command = ["sh", "-c", SCRIPT, "fetch.sh", "/fetch", suite];
        let run = Run {
            image: APT_IMAGE,
            command: command.map(str::to_owned).to_vec(),
            env: Vec::new(),
            network: Network::Default,
            upload: Some(&upload),
            download: Some(Download {
                from: "/fetch",
                to: &download,
                most: u64::MAX,
            }),
            labels: self.labels,
        };
        let ended = docker.run(&run, &mut |_| {}).await?;
        match i32::try_from(ended.status) {
            Ok(0) => unpack(&download, folder).map_err(system("unpack packages")),
            Ok(NO_DEBIAN_APT) => Err(AptError::NoAptInImage),
            _ => {
                let status = format!("exit status: {}", ended.status);
                Err(self.script_failed(suite, status, &ended.output))
            }
        }
    }

    async fn have_image(&self, docker: &Docker) -> Result<(), AptError> {
        if docker.image_id(APT_IMAGE).await?.is_some() {
            return Ok(());
        }
        let about = Step::Pull {
            reference: APT_IMAGE.to_owned(),
        };
        let pull = async {
            let Err(error) = docker.pull(APT_IMAGE).await else {
                return Ok(());
            };
            let log = self.store.keep_log("pull", error.to_string().as_bytes())?;
            Err(AptError::NoImage { log })
        };
        step(self.events, about, pull).await
    }
}

/// The process group of a script, which ends with all its commands when this is dropped before it is done.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by itself by now.
            let _ = killpg(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

fn write_wants(folder: &Path, want: &Want) -> io::Result<()> {
    std::fs::create_dir(folder.join("want"))?;
    for (set, packages) in &want.sets {
        std::fs::write(folder.join("want").join(set), packages.join("\n"))?;
    }
    match want.sources.as_slice() {
        [] => Ok(()),
        sources => std::fs::write(folder.join("want-sources"), sources.join("\n")),
    }
}

fn collect(folder: &Path, want: &Want) -> io::Result<Fetched> {
    let mut fetched = Fetched::default();
    for set in want.sets.keys() {
        let place = folder.join("sets").join(set);
        let came = match place.with_extension("error").is_file() {
            true => None,
            false => Some(files(&place)?),
        };
        fetched.sets.insert(set.clone(), came);
    }
    if !want.sources.is_empty() {
        fetched.sources = files(&folder.join("sources"))?;
    }
    Ok(fetched)
}

/// Everything that apt said of what could not be had.
fn words_of_apt(folder: &Path, want: &Want) -> io::Result<String> {
    let sets = want.sets.keys();
    let sets = sets.map(|set| folder.join("sets").join(set).with_extension("error"));
    let mut words = String::new();
    for path in sets.chain([folder.join("sources.error")]) {
        if path.is_file() {
            words += &String::from_utf8_lossy(&std::fs::read(&path)?);
        }
    }
    Ok(words)
}

fn log_of(suite: &str) -> String {
    format!("apt-{suite}")
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

/// Unpacks what the container fetched: flat folders of files, through a tree, so that nothing climbs out.
fn unpack(download: &Path, folder: &Path) -> io::Result<()> {
    let mut tree = Tree::new(Kind::Source, folder)?;
    archive::read_tar(&mut tree, std::fs::File::open(download)?)?;
    tree.strip_top();
    tree.write_files(folder)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn log() -> PathBuf {
        PathBuf::from("/store/logs/apt-sid.log")
    }

    #[rstest]
    #[case::no_apt_at_all(
        AptError::NoApt,
        "install the package debian-archive-keyring and give apt a source, or start Docker"
    )]
    #[case::no_image(
        AptError::NoImage { log: log() },
        "load that image with `docker load`, or run the lab where apt or a registry can be reached"
    )]
    #[case::packages(
        AptError::Packages { log: Some(log()) },
        "apt-get cannot fetch them; what it says is in /store/logs/apt-sid.log"
    )]
    #[case::no_room(
        AptError::NoRoom { store: "/store".into() },
        "apt-get cannot fetch them: No space left on device (/store)"
    )]
    #[case::packages_without_a_word(AptError::Packages { log: None }, "apt-get cannot fetch them")]
    fn it_says_what_to_do_or_where_to_look(#[case] error: AptError, #[case] last_words: &str) {
        let said = error.to_string();
        assert!(said.ends_with(last_words), "{said}");
    }
}
