//! Fetches Debian packages and sources with a private apt, on the host or in a Debian container.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;
use tokio::sync::OnceCell;

use super::archive;
use super::event::{Listener, Step};
use super::scratch::Scratch;
use super::store::Store;
use super::tree::{Kind, Tree};
use super::work::step;
use crate::docker::{Docker, Download, Network, Run};

const SCRIPT: &str = include_str!("../../../images/fetch.sh");

/// The image that apt runs in where the machine has none.
const IMAGE: &str = "debian:trixie-slim";

/// The script's exit status where there is no apt that is set up with Debian's archive.
const NO_DEBIAN_APT: i32 = 10;

/// Neither the machine nor a container has what it takes.
const NO_APT: &str = "this machine has no apt that is set up with Debian's archive, and no Docker daemon answers that could run \
                      one: install the package debian-archive-keyring and give apt a source, or start Docker";

/// What is wanted of one suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// Package sets by name.
    pub(super) sets: BTreeMap<String, Vec<String>>,
    /// Source packages, as `apt-get source` takes them.
    pub(super) sources: Vec<String>,
}

/// What came of it. Apt's own words name the machine's mirror: they go to the store's log, never into a reason.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) sets: BTreeMap<String, Result<Vec<PathBuf>, String>>,
    /// The files of the source packages that could be had.
    pub(super) sources: Vec<PathBuf>,
    /// Holds the files.
    _folder: Option<Scratch>,
}

/// Where apt runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    Container,
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
    /// Apt runs neither on the host nor in a container; one sentence.
    pub(super) async fn fetch(&self, suite: &str, want: &Want) -> Result<Fetched, String> {
        let folder = self.store.scratch().map_err(|e| e.to_string())?;
        write_wants(folder.path(), want).map_err(|e| format!("cannot ask apt: {e}"))?;
        let place = match self.on_host(folder.path(), suite).await? {
            Some(()) => Place::Host,
            None => Place::Container,
        };
        if place == Place::Container {
            self.in_container(folder.path(), suite).await?;
        }
        let unreadable = |e: std::io::Error| format!("cannot read what apt fetched: {e}");
        let words = words_of_apt(folder.path(), want).map_err(unreadable)?;
        let log = match words.is_empty() {
            true => String::new(),
            false => self.log(&log_of(suite), words.as_bytes())?,
        };
        let fetched = collect(folder.path(), want, &log);
        Ok(Fetched {
            _folder: Some(folder),
            ..fetched.map_err(unreadable)?
        })
    }

    /// Keeps what a command said, and says where.
    fn log(&self, name: &str, words: &[u8]) -> Result<String, String> {
        let path = self.store.keep_log(name, words);
        let path = path.map_err(|e| e.to_string())?;
        Ok(format!("what it says is in {}", path.display()))
    }

    fn script_failed(&self, suite: &str, status: &str, output: &[u8]) -> Result<String, String> {
        let log = self.log(&log_of(suite), output)?;
        Ok(format!("fetching packages failed ({status}): {log}"))
    }

    /// `None` where the host has no apt for Debian's archive.
    async fn on_host(&self, folder: &Path, suite: &str) -> Result<Option<()>, String> {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "fetch.sh"])
            .arg(folder)
            .arg(suite)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot run sh to fetch packages: {e}"))?;
        let mut group = Group(child.id());
        let ran = child.wait_with_output().await;
        group.0 = None;
        let ran = ran.map_err(|e| format!("cannot wait for apt-get: {e}"))?;
        match ran.status.code() {
            Some(0) => Ok(Some(())),
            Some(NO_DEBIAN_APT) => Ok(None),
            _ => Err(self.script_failed(suite, &ran.status.to_string(), &ran.stderr)?),
        }
    }

    async fn in_container(&self, folder: &Path, suite: &str) -> Result<(), String> {
        let docker = self.docker.ok_or(NO_APT)?;
        self.image
            .get_or_try_init(|| self.have_image(docker))
            .await?;
        let (upload, download) = (folder.join("upload.tar"), folder.join("download.tar"));
        let tree = Tree::read_dir(Kind::Source, folder, &self.store.tmp());
        tree.and_then(|mut tree| {
            tree.below(Path::new("fetch"));
            tree.write_tar(std::fs::File::create(&upload)?)
        })
        .map_err(|e| format!("cannot pack what is asked of apt: {e}"))?;
        let command = ["sh", "-c", SCRIPT, "fetch.sh", "/fetch", suite];
        let run = Run {
            image: IMAGE,
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
        let ended = docker.run(&run, &mut |_| {}).await;
        let ended = ended.map_err(|e| e.to_string())?;
        match ended.status {
            0 => unpack(&download, folder).map_err(|e| format!("cannot unpack packages: {e}")),
            10 => Err(format!(
                "the image {IMAGE} has no apt that is set up with Debian's archive and can reach it"
            )),
            status => {
                let status = format!("exit status: {status}");
                Err(self.script_failed(suite, &status, &ended.output)?)
            }
        }
    }

    async fn have_image(&self, docker: &Docker) -> Result<(), String> {
        let there = docker.image_id(IMAGE).await.map_err(|e| e.to_string())?;
        if there.is_some() {
            return Ok(());
        }
        let about = Step::Pull {
            reference: IMAGE.to_owned(),
        };
        // What Docker says of a pull names the machine's registry: that goes to the log too.
        let pull = async {
            let Err(error) = docker.pull(IMAGE).await else {
                return Ok(());
            };
            let log = self.log("pull", error.to_string().as_bytes())?;
            Err(format!("the image {IMAGE} cannot be pulled ({log})"))
        };
        let pulled = step(self.events, about, pull).await;
        pulled.map_err(|reason| {
            format!(
                "this machine has no apt that is set up with Debian's archive, and {reason}: load that image with \
                 `docker load`, or run the lab where apt or a registry can be reached"
            )
        })
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

fn write_wants(folder: &Path, want: &Want) -> std::io::Result<()> {
    std::fs::create_dir(folder.join("want"))?;
    for (set, packages) in &want.sets {
        std::fs::write(folder.join("want").join(set), packages.join("\n"))?;
    }
    match want.sources.as_slice() {
        [] => Ok(()),
        sources => std::fs::write(folder.join("want-sources"), sources.join("\n")),
    }
}

fn collect(folder: &Path, want: &Want, log: &str) -> std::io::Result<Fetched> {
    let mut fetched = Fetched::default();
    for set in want.sets.keys() {
        let place = folder.join("sets").join(set);
        let came = match place.with_extension("error").is_file() {
            true => Err(format!("apt-get cannot fetch them; {log}")),
            false => Ok(files(&place)?),
        };
        fetched.sets.insert(set.clone(), came);
    }
    if !want.sources.is_empty() {
        fetched.sources = files(&folder.join("sources"))?;
    }
    Ok(fetched)
}

/// Everything that apt said of what could not be had.
fn words_of_apt(folder: &Path, want: &Want) -> std::io::Result<String> {
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

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect()
}

/// Unpacks what the container fetched: flat folders of files, through a tree, so that nothing climbs out.
fn unpack(download: &Path, folder: &Path) -> std::io::Result<()> {
    let mut tree = Tree::new(Kind::Source, folder)?;
    archive::read_tar(&mut tree, std::fs::File::open(download)?)?;
    tree.strip_top();
    tree.write_files(folder)
}
