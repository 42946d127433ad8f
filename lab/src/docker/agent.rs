//! Containers that run until they are removed, and whose first process is spoken to over its standard streams.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as Fault;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::Stream;
use tokio::io::AsyncWrite;

use super::owned::Owned;
use super::{Docker, DockerError, failed, with_own};

/// How long a container may take to start on a machine that is busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running container. It is removed, with force, when this is dropped.
pub struct AgentContainer(Owned);

/// The standard streams of a container's first process.
pub struct Streams {
    /// Its standard input.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes.
    pub output: Pin<Box<dyn Stream<Item = Result<LogOutput, Fault>> + Send>>,
}

impl AgentContainer {
    /// Its id, by which other containers join its namespaces.
    pub fn id(&self) -> &str {
        self.0.id()
    }

    /// Removes it, and waits until it is gone.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn remove(self) -> Result<(), DockerError> {
        self.0.remove().await
    }
}

impl Docker {
    /// Starts a container of `image` that goes on until it is removed.
    ///
    /// # Errors
    /// The image is gone, or the daemon does not start it.
    pub async fn start(
        &self,
        image: &str,
        name: String,
        labels: &HashMap<String, String>,
        host: HostConfig,
    ) -> Result<AgentContainer, DockerError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            labels: Some(with_own(labels)),
            open_stdin: Some(true),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let container = Owned::create(self, name, body).await?;
        let starting = self.client.start_container(container.name(), None);
        let started = match tokio::time::timeout(START_TIMEOUT, starting).await {
            Ok(started) => started,
            Err(_) => Err(Fault::RequestTimeoutError),
        };
        if let Err(source) = started {
            container.remove().await?;
            return Err(failed(format!("start a container of {image}"), source));
        }
        Ok(AgentContainer(container))
    }

    /// Attaches to the standard streams of a container's first process.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn attach(&self, container: &AgentContainer) -> Result<Streams, DockerError> {
        let options = AttachContainerOptionsBuilder::new()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = self.client.attach_container(container.id(), Some(options));
        let attached = attached.await.map_err(|source| {
            failed(
                format!("attach to the container {}", container.0.name()),
                source,
            )
        })?;
        Ok(Streams {
            input: attached.input,
            output: attached.output,
        })
    }
}
