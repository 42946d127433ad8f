//! By what means builds are made, and where they live to be run: containers of a daemon, or directories of the store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::container::Images;
use super::event::{Listener, Step};
use super::rootfs;
use super::store::Store;
use super::work::{blocking, step};
use crate::agent::exec;
use crate::catalog::Digest;
use crate::docker::{Docker, DockerError, Network, Run};
use crate::sandbox::{Contents, Job};

/// How long a build may take to say its version.
const BANNER_TIME: Duration = Duration::from_secs(30);

/// By what means builds are made and run.
#[derive(Debug, Clone)]
pub enum Means {
    /// Containers of a daemon.
    Docker(Docker),
    /// Namespaces alone.
    Native {
        /// The lab's own program, which makes them.
        program: PathBuf,
        /// A daemon that answers all the same: where builds that the user has as container images come from.
        docker: Option<Docker>,
    },
}

impl Means {
    /// The daemon, if there is one.
    pub(super) fn docker(&self) -> Option<&Docker> {
        match self {
            Means::Docker(docker) => Some(docker),
            Means::Native { docker, .. } => docker.as_ref(),
        }
    }
}

/// Where a root filesystem lives to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// In this container image, with the agent as its entry point.
    Container(String),
    /// In this directory, without the agent.
    Directory(PathBuf),
}

/// Where root filesystems are brought to, to be run.
pub(super) enum Housing<'a> {
    Containers(Images<'a>),
    Directories { store: &'a Store, program: &'a Path },
}

impl Housing<'_> {
    /// A home for the root filesystem `digest`, which `tar` holds; made where there is none.
    pub(super) async fn home(
        &self,
        name: &str,
        tar: &Path,
        digest: &Digest,
        events: &Listener,
    ) -> Result<Home, String> {
        let name = name.to_owned();
        match self {
            Housing::Containers(images) => {
                let image = images.image(&name, digest);
                let there = images.has(&image).await.map_err(|e| e.to_string())?;
                if !there {
                    let make = async {
                        images.make(&image, tar, digest).await?;
                        images.remove_others(&image).await;
                        Ok::<_, DockerError>(())
                    };
                    let about = Step::ContainerImage { image: name };
                    let made = step(events, about, make).await;
                    made.map_err(|e| e.to_string())?;
                }
                Ok(Home::Container(image.reference()))
            }
            Housing::Directories { store, .. } => {
                if let Some(there) = store.known_root(digest) {
                    return Ok(Home::Directory(there));
                }
                let (store, tar, digest) = ((*store).clone(), tar.to_owned(), digest.clone());
                let unpack = move || {
                    let root = store.root(&digest, &tar, &rootfs::MOUNT_POINTS);
                    root.map_err(|e| e.to_string())
                };
                let unpack = blocking(unpack);
                let unpacked = step(events, Step::Assemble { image: name }, unpack).await?;
                Ok(Home::Directory(unpacked))
            }
        }
    }

    /// Takes a home away that is of no use.
    pub(super) async fn leave(&self, home: &Home) -> Result<(), String> {
        match (self, home) {
            (Housing::Containers(images), Home::Container(reference)) => {
                let removed = images.docker.remove_image(reference).await;
                removed.map(drop).map_err(|e| e.to_string())
            }
            (_, Home::Directory(directory)) => std::fs::remove_dir_all(directory)
                .map_err(|e| format!("{} cannot be removed: {e}", directory.display())),
            (Housing::Directories { .. }, Home::Container(_)) => Ok(()),
        }
    }

    /// What a command prints as its version: its exit status, and its words.
    pub(super) async fn banner(
        &self,
        home: &Home,
        command: &str,
        labels: &HashMap<String, String>,
    ) -> Result<(i64, String), String> {
        let command = vec![command.to_owned(), "--version".to_owned()];
        let asked = async {
            match (self, home) {
                (Housing::Containers(images), Home::Container(image)) => {
                    let run = Run {
                        image,
                        command,
                        env: Vec::new(),
                        network: Network::None,
                        upload: None,
                        download: None,
                        labels,
                    };
                    let ended = images.docker.run(&run, &mut |_| {}).await;
                    let ended = ended.map_err(|e| e.to_string())?;
                    Ok((ended.status, ended.output))
                }
                (Housing::Directories { store, program }, Home::Directory(root)) => {
                    let environment = exec::ENVIRONMENT;
                    let job = Job {
                        stage: store.stage(),
                        contents: Contents {
                            root: root.clone(),
                            shared: Vec::new(),
                        },
                        command,
                        environment: environment
                            .map(|(name, value)| format!("{name}={value}"))
                            .to_vec(),
                    };
                    let ended = job.run(program, &mut |_| {}).await?;
                    Ok((ended.status.into(), ended.output))
                }
                _ => Err("it does not live where it is looked for".to_owned()),
            }
        };
        let told = tokio::time::timeout(BANNER_TIME, asked).await;
        let (status, output) = told.map_err(|_| "hangs".to_owned())??;
        Ok((status, String::from_utf8_lossy(&output).trim().to_owned()))
    }
}
