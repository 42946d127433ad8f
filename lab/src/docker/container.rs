//! Commands that run to their end in a container of their own, which is gone afterwards whatever happens.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bollard::container::LogOutput;
use bollard::errors::Error as Fault;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::owned::Owned;
use super::{Docker, DockerError, chunks, failed, with_own};
use crate::catalog::names;

/// Which network a container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// None at all.
    None,
    /// The daemon's default.
    Default,
}

/// A command to be run to its end in a container of its own. All capabilities are dropped.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The image.
    pub image: &'a str,
    /// Program and arguments; the image's entry point is not used.
    pub command: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// Its network.
    pub network: Network,
    /// A tar to be unpacked at `/` before the command starts.
    pub upload: Option<&'a Path>,
    /// What is fetched of it when the command has succeeded.
    pub download: Option<Download<'a>>,
    /// Labels beside the lab's own.
    pub labels: &'a HashMap<String, String>,
}

/// What is fetched of a container, as a tar.
#[derive(Debug, Clone, Copy)]
pub struct Download<'a> {
    /// A path in the container.
    pub from: &'a str,
    /// The file that it goes to.
    pub to: &'a Path,
    /// At most so many bytes: what is in a container may be larger than all of this machine's disk, with holes.
    pub most: u64,
}

/// What a command may write: whoever writes more is not read to the end.
const MOST_SAID: usize = crate::agent::exec::OUTPUT_LIMIT;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status.
    pub status: i64,
    /// What it wrote to standard output and standard error, as it came.
    pub output: Vec<u8>,
}

impl Docker {
    /// Runs a command to its end in a container of its own, which is gone afterwards whatever happens.
    ///
    /// # Errors
    /// The daemon refuses; the command's own failure is no error but its status.
    pub async fn run(
        &self,
        run: &Run<'_>,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, DockerError> {
        let container = self.create(run).await?;
        let ended = self.run_in(container.name(), run, on_output).await;
        container.remove().await?;
        ended
    }

    /// Writes the file system of an image, as a tar, to `to`.
    ///
    /// # Errors
    /// The daemon refuses, or the file cannot be written.
    pub async fn export(
        &self,
        image: &str,
        labels: &HashMap<String, String>,
        to: &Path,
    ) -> Result<(), DockerError> {
        let run = Run {
            image,
            // It is never started; an image without a command needs one to make a container of.
            command: vec!["/".into()],
            env: Vec::new(),
            network: Network::None,
            upload: None,
            download: None,
            labels,
        };
        let container = self.create(&run).await?;
        let bytes = self.client.export_container(container.name());
        let action = format!("export the image {image}");
        let written = save(bytes, to, u64::MAX, &action).await;
        container.remove().await?;
        written
    }

    async fn create(&self, run: &Run<'_>) -> Result<Owned, DockerError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = names::job_container(
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed),
            jiff::Timestamp::now().as_nanosecond() as u32,
        );
        let body = ContainerCreateBody {
            image: Some(run.image.to_owned()),
            entrypoint: Some(Vec::new()),
            cmd: Some(run.command.clone()),
            env: Some(run.env.clone()),
            labels: Some(with_own(run.labels)),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig {
                network_mode: (run.network == Network::None).then(|| "none".to_owned()),
                cap_drop: Some(vec!["ALL".to_owned()]),
                security_opt: Some(vec!["no-new-privileges".to_owned()]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        Owned::create(self, name, body).await
    }

    async fn run_in(
        &self,
        name: &str,
        run: &Run<'_>,
        on_output: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Ended, DockerError> {
        let action = |what: &str| format!("{what} a container of {}", run.image);
        if let Some(tar) = run.upload {
            let options = UploadToContainerOptionsBuilder::new().path("/").build();
            let body = bollard::body_try_stream(chunks(tar).await?);
            let sent = self.client.upload_to_container(name, Some(options), body);
            sent.await.map_err(|e| failed(action("send files to"), e))?;
        }
        let output = self.attach_and_start(name, run.image).await?;
        let output = collect(output, on_output)
            .await
            .map_err(|e| failed(action("read the output of"), e))?;
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut waiting = self.client.wait_container(name, Some(options));
        let status = match waiting.next().await {
            Some(Ok(done)) => done.status_code,
            Some(Err(Fault::DockerContainerWaitError { code, .. })) => code,
            Some(Err(source)) => return Err(failed(action("wait for"), source)),
            None => -1,
        };
        if let Some(Download { from, to, most }) = run.download.filter(|_| status == 0) {
            let options = DownloadFromContainerOptionsBuilder::new()
                .path(from)
                .build();
            let bytes = self.client.download_from_container(name, Some(options));
            save(bytes, to, most, &action("fetch files from")).await?;
        }
        Ok(Ended { status, output })
    }

    async fn attach_and_start(
        &self,
        name: &str,
        image: &str,
    ) -> Result<impl Stream<Item = Result<LogOutput, Fault>> + Unpin + use<>, DockerError> {
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = self.client.attach_container(name, Some(options)).await;
        let attached = attached.map_err(|e| failed(format!("attach to {image}"), e))?;
        let started = self.client.start_container(name, None).await;
        started.map_err(|e| failed(format!("start a container of {image}"), e))?;
        Ok(attached.output)
    }
}

async fn collect(
    mut output: impl Stream<Item = Result<LogOutput, Fault>> + Unpin,
    on_output: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<Vec<u8>, Fault> {
    let mut all = Vec::new();
    while let Some(piece) = output.try_next().await? {
        let bytes = piece.into_bytes();
        on_output(&bytes);
        all.extend_from_slice(&bytes);
        if all.len() > MOST_SAID {
            let message = format!("it wrote more than {} MB", MOST_SAID >> 20);
            return Err(std::io::Error::other(message).into());
        }
    }
    Ok(all)
}

async fn save(
    mut bytes: impl Stream<Item = Result<Bytes, Fault>> + Unpin,
    to: &Path,
    most: u64,
    action: &str,
) -> Result<(), DockerError> {
    let mut room = most;
    let write_failed = |source| DockerError::File {
        action: format!("write {}", to.display()),
        source,
    };
    let mut file = File::create(to).await.map_err(write_failed)?;
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|e| failed(action.to_owned(), e))?;
        let left = room.checked_sub(piece.len() as u64);
        room = left.ok_or_else(|| {
            let message = format!("it is larger than {} MB", most >> 20);
            write_failed(std::io::Error::other(message))
        })?;
        file.write_all(&piece).await.map_err(write_failed)?;
    }
    file.flush().await.map_err(write_failed)
}
