//! Root filesystems as container images: each with the lab's own binary as the agent in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use crate::catalog::Digest;
use crate::catalog::names::{AGENT_PATH, DIGEST_LABEL, ImageTag};
use crate::docker::{Docker, DockerError, Download, Network, Run};
use crate::images::{
    Done, Files, Job, LARGEST, Listener, OUT, RootId, Roots, RootsError, Step, Store, WORK,
    blocking, digest_of_file, lock, step,
};

/// How old an image must be to be removed for another of its name: a run that is just starting may be about to use it.
const SETTLED: SignedDuration = SignedDuration::from_mins(10);

/// The container images of one agent.
pub struct ContainerImages {
    docker: Docker,
    store: Store,
    /// The lab's own static binary.
    agent: PathBuf,
    /// The agent's digest, once it was asked for.
    agent_digest: OnceCell<Digest>,
    /// What containers of commands that run to their end carry.
    labels: HashMap<String, String>,
}

impl ContainerImages {
    /// The images of `docker` with the lab's own static binary `agent`; what is started for them is labelled with `labels`.
    pub fn new(
        docker: Docker,
        store: &Store,
        agent: PathBuf,
        labels: HashMap<String, String>,
    ) -> ContainerImages {
        ContainerImages {
            docker,
            store: store.clone(),
            agent,
            agent_digest: OnceCell::new(),
            labels,
        }
    }

    /// The daemon that has them.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The image that holds the agent alone.
    pub(super) async fn holder(&self) -> Result<ImageTag, RootsError> {
        Ok(ImageTag::of_holder(self.agent_digest().await?))
    }

    /// The image of a root filesystem.
    pub(super) async fn image(&self, root: &RootId) -> Result<ImageTag, RootsError> {
        Ok(match root {
            RootId::Build { name, digest } => {
                ImageTag::of_build(name, digest, self.agent_digest().await?)
            }
            RootId::Toolchain { digest } => ImageTag::of_toolchain(digest),
        })
    }

    async fn agent_digest(&self) -> Result<&Digest, RootsError> {
        let path = self.agent.clone();
        let digest = || blocking(move || digest_of_file(&path));
        let found = self.agent_digest.get_or_try_init(digest).await;
        found.map_err(|source| RootsError::Agent {
            path: self.agent.clone(),
            source,
        })
    }

    async fn is_there(&self, image: &ImageTag) -> Result<bool, DockerError> {
        Ok(self.docker.image_id(&image.reference()).await?.is_some())
    }

    /// Makes the image that every lane's first container runs, if it is not there.
    async fn have_holder(&self, events: &Listener) -> Result<(), RootsError> {
        let holder = self.holder().await?;
        if self.is_there(&holder).await? {
            return Ok(());
        }
        let about = Step::ContainerImage {
            image: "the lane's holder".to_owned(),
        };
        let held = lock(&self.store, "holder", events, about.clone()).await;
        // Without the lock two runs may both make it, which does no harm.
        if self.is_there(&holder).await? {
            return Ok(());
        }
        let make = async {
            self.import_with_agent(&holder, None, &HashMap::new())
                .await?;
            self.remove_others(&holder).await
        };
        let made = step(events, about, make).await;
        drop(held);
        Ok(made?)
    }

    async fn make_image(&self, root: &RootId, tar: &Path) -> Result<(), RootsError> {
        let image = self.image(root).await?;
        match root {
            RootId::Build { digest, .. } => {
                let labels = HashMap::from([(DIGEST_LABEL.to_owned(), digest.to_string())]);
                self.import_with_agent(&image, Some(tar), &labels).await?;
                self.remove_others(&image).await?;
            }
            RootId::Toolchain { .. } => {
                let labels = HashMap::new();
                self.docker.import(&image, &[tar], &[], &labels).await?;
            }
        }
        Ok(())
    }

    async fn import_with_agent(
        &self,
        image: &ImageTag,
        rootfs: Option<&Path>,
        labels: &HashMap<String, String>,
    ) -> Result<(), DockerError> {
        let agent = tempfile::NamedTempFile::new_in(self.store.tmp()).and_then(|file| {
            pack_agent(&self.agent, file.as_file())?;
            Ok(file)
        });
        let agent = agent.map_err(|source| DockerError::File {
            action: format!("pack the agent {}", self.agent.display()),
            source,
        })?;
        let tars: Vec<&Path> = [Some(agent.path()), rootfs].into_iter().flatten().collect();
        let entrypoint = [AGENT_PATH, "agent"];
        self.docker.import(image, &tars, &entrypoint, labels).await
    }

    /// Removes the images of the same name with another agent or another digest, but for those in use or just made.
    async fn remove_others(&self, image: &ImageTag) -> Result<(), DockerError> {
        let now = Timestamp::now().as_second();
        for own in self.docker.own_images().await? {
            let replaced = match &own.tag {
                Some(tag) => tag.repository == image.repository && tag != image,
                None => image.is_holder(),
            };
            if replaced && now - own.created > SETTLED.as_secs() {
                // Another run may be at the same one, and the daemon fail over it; what is left goes next time.
                let _ = self.docker.remove_image(&own.reference()).await;
            }
        }
        Ok(())
    }

    async fn run_in_container(
        &self,
        root: &RootId,
        job: Job,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Done, RootsError> {
        let scratch = self.store.scratch()?;
        let [upload, download] = ["in.tar", "out.tar"].map(|name| scratch.path().join(name));
        if let Some(files) = &job.files {
            files.pack(&upload)?;
        }
        let has_files = job.files.is_some();
        let out = format!("/{WORK}/{OUT}");
        let run = Run {
            image: &self.image(root).await?.reference(),
            command: job.command,
            env: job.environment,
            network: Network::None,
            upload: has_files.then_some(upload.as_path()),
            download: has_files.then_some(Download {
                from: &out,
                to: &download,
                most: LARGEST,
            }),
            labels: &self.labels,
        };
        let ended = self.docker.run(&run, on_output).await?;
        let left = match has_files && ended.status == 0 {
            true => Some(Files::unpack(&download, scratch.path())?),
            false => None,
        };
        Ok(Done {
            status: ended.status,
            output: ended.output,
            left,
        })
    }
}

impl Roots for ContainerImages {
    fn prepare<'a>(&'a self, events: &'a Listener) -> BoxFuture<'a, Result<(), RootsError>> {
        self.have_holder(events).boxed()
    }

    fn has<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<bool, RootsError>> {
        async { Ok(self.is_there(&self.image(root).await?).await?) }.boxed()
    }

    fn step(&self, image: String) -> Step {
        Step::ContainerImage { image }
    }

    fn make<'a>(
        &'a self,
        root: &'a RootId,
        tar: &'a Path,
    ) -> BoxFuture<'a, Result<(), RootsError>> {
        self.make_image(root, tar).boxed()
    }

    fn remove<'a>(&'a self, root: &'a RootId) -> BoxFuture<'a, Result<(), RootsError>> {
        async {
            let image = self.image(root).await?;
            self.docker.remove_image(&image.reference()).await?;
            Ok(())
        }
        .boxed()
    }

    fn run<'a>(
        &'a self,
        root: &'a RootId,
        job: Job,
        on_output: &'a mut (dyn FnMut(&[u8]) + Send),
    ) -> BoxFuture<'a, Result<Done, RootsError>> {
        self.run_in_container(root, job, on_output).boxed()
    }
}

/// Writes a tar with the agent in it, without the blocks of zeros that end a tar: a root filesystem may follow.
fn pack_agent(agent: &Path, to: &File) -> io::Result<()> {
    let mut file = File::open(agent)?;
    let size = file.metadata()?.len();
    let mut header = tar::Header::new_gnu();
    header.set_path(AGENT_PATH.trim_start_matches('/'))?;
    header.set_size(size);
    header.set_mode(0o755);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut to = io::BufWriter::new(to);
    to.write_all(header.as_bytes())?;
    io::copy(&mut file, &mut to)?;
    let padding = size.next_multiple_of(512) - size;
    io::copy(&mut io::repeat(0).take(padding), &mut to)?;
    to.flush()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_agent_in_a_tar_is_read_too() {
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("agent");
        std::fs::write(&agent, vec![7; 700]).unwrap();
        let packed = File::create_new(folder.path().join("agent.tar")).unwrap();
        pack_agent(&agent, &packed).unwrap();
        let mut bytes = std::fs::read(folder.path().join("agent.tar")).unwrap();
        let mut rootfs = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        rootfs
            .append_data(&mut header, "etc/passwd", io::empty())
            .unwrap();
        bytes.extend(rootfs.into_inner().unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().unwrap();
        let found: Vec<(String, u64)> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.size())
            })
            .collect();
        let expected = [
            (".iptables-lab/agent".to_owned(), 700),
            ("etc/passwd".to_owned(), 0),
        ];
        assert_eq!(found, expected);
    }
}
