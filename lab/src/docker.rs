//! The only room that knows bollard: images, containers and their streams.

mod agent;
mod container;
mod owned;

use std::collections::HashMap;
use std::path::Path;

use bollard::errors::Error as Fault;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

pub use crate::catalog::names::ImageTag;
pub use agent::{AgentContainer, Streams};
pub use container::{Download, Ended, Network, Run};
use owned::remove_container;

use crate::catalog::names::LABEL;

/// The oldest API that the lab was tried with: engine 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// A connection to a Docker daemon.
#[derive(Debug, Clone)]
pub struct Docker {
    client: bollard::Docker,
    version: String,
}

/// Why Docker did not do what was asked.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum DockerError {
    /// No daemon answers.
    #[error("no Docker daemon answers: {source}")]
    #[diagnostic(help(
        "start it (`systemctl start docker`), join the group `docker`, or set DOCKER_HOST"
    ))]
    Unreachable {
        /// The client's answer.
        source: Fault,
    },
    /// The daemon is too old.
    #[error("the Docker daemon {version} speaks API {api}; the lab needs {}.{} (engine 20.10) or newer", OLDEST_API.0, OLDEST_API.1)]
    TooOld {
        /// The engine's version.
        version: String,
        /// The newest API it speaks.
        api: String,
    },
    /// An image is not there any more.
    #[error("the image {image} was removed meanwhile; run again")]
    NoImage {
        /// Its name.
        image: String,
    },
    /// A request failed.
    #[error("Docker could not {action}: {source}")]
    Request {
        /// What was asked for.
        action: String,
        /// The daemon's answer.
        source: Fault,
    },
    /// A file of this machine could not be sent or received.
    #[error("cannot {action}: {source}")]
    File {
        /// What was being done.
        action: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// A container that the lab started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnContainer {
    /// Its id.
    pub id: String,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// An image with the lab's label, as it is listed: once a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// Its id.
    pub id: String,
    /// Its name; none where another image has taken it.
    pub tag: Option<ImageTag>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl OwnImage {
    /// Whether the lab made it: one that a user made from one of the lab's carries its label too.
    pub fn is_made_here(&self) -> bool {
        self.tag.as_ref().is_none_or(ImageTag::is_of_lab)
    }

    /// What Docker knows it by.
    pub fn reference(&self) -> String {
        match &self.tag {
            Some(tag) => tag.reference(),
            None => self.id.clone(),
        }
    }
}

/// What came of removing an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// A container, or another image, still needs it.
    InUse,
    /// There was none.
    Absent,
}

impl Docker {
    /// Connects to the daemon that `DOCKER_HOST` names, or to the machine's own.
    ///
    /// # Errors
    /// None answers, or it is older than engine 20.10.
    pub async fn connect() -> Result<Docker, DockerError> {
        let unreachable = |source| DockerError::Unreachable { source };
        let client = bollard::Docker::connect_with_defaults().map_err(unreachable)?;
        let client = client.negotiate_version().await.map_err(unreachable)?;
        let said = client.version().await.map_err(unreachable)?;
        let version = said.version.unwrap_or_else(|| "of unknown version".into());
        let api = said.api_version.unwrap_or_default();
        let number = |part: Option<&str>| part.and_then(|part| part.parse().ok()).unwrap_or(0);
        let mut parts = api.split('.');
        if (number(parts.next()), number(parts.next())) < OLDEST_API {
            return Err(DockerError::TooOld { version, api });
        }
        Ok(Docker { client, version })
    }

    /// bollard's own client, for who asks Docker something that the lab does not.
    pub fn client(&self) -> &bollard::Docker {
        &self.client
    }

    /// The engine's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The id of an image, if it is there.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, DockerError> {
        match self.client.inspect_image(reference).await {
            Ok(image) => Ok(image.id),
            Err(Fault::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(source) => Err(failed(format!("inspect the image {reference}"), source)),
        }
    }

    /// Every image that the lab made, once a tag.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn own_images(&self) -> Result<Vec<OwnImage>, DockerError> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let images = self.client.list_images(Some(options)).await;
        let images = images.map_err(|e| failed("list images".into(), e))?;
        let mut own = Vec::new();
        for image in images {
            let mut tags: Vec<_> = image
                .repo_tags
                .iter()
                .map(|t| ImageTag::listed(t))
                .collect();
            if tags.is_empty() {
                tags.push(None);
            }
            own.extend(tags.into_iter().map(|tag| OwnImage {
                id: image.id.clone(),
                tag,
                created: image.created,
            }));
        }
        Ok(own)
    }

    /// Makes an image of one layer from tars, unpacked one over the other; all but the last come without their end mark.
    ///
    /// # Errors
    /// The import fails.
    pub async fn import(
        &self,
        image: &ImageTag,
        tars: &[&Path],
        entrypoint: &[&str],
        labels: &HashMap<String, String>,
    ) -> Result<(), DockerError> {
        let labels = with_own(labels);
        let label = |(name, value)| format!("LABEL {name}={value}");
        let mut changes: Vec<String> = labels.iter().map(label).collect();
        if !entrypoint.is_empty() {
            changes.push(format!("ENTRYPOINT {entrypoint:?}"));
        }
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(&image.repository)
            .tag(&image.tag)
            .changes(changes)
            .build();
        let mut pieces = Vec::new();
        for tar in tars {
            pieces.push(chunks(tar).await?);
        }
        let body = bollard::body_try_stream(futures_util::stream::iter(pieces).flatten());
        let mut steps = self.client.create_image(Some(options), Some(body), None);
        while let Some(step) = steps.next().await {
            step.map_err(|e| failed(format!("import the image {}", image.reference()), e))?;
        }
        Ok(())
    }

    /// Pulls an image.
    ///
    /// # Errors
    /// No registry answers, or it has no such image.
    pub async fn pull(&self, reference: &str) -> Result<(), DockerError> {
        let options = CreateImageOptionsBuilder::new().from_image(reference);
        let options = match reference.contains('@') || has_tag(reference) {
            true => options,
            false => options.tag("latest"),
        };
        let mut steps = self.client.create_image(Some(options.build()), None, None);
        while let Some(step) = steps.next().await {
            step.map_err(|e| failed(format!("pull the image {reference}"), e))?;
        }
        Ok(())
    }

    /// Every container that the lab started, running or not.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn own_containers(&self) -> Result<Vec<OwnContainer>, DockerError> {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let containers = self.client.list_containers(Some(options)).await;
        let containers = containers.map_err(|e| failed("list containers".into(), e))?;
        let own = containers.into_iter().filter_map(|container| {
            Some(OwnContainer {
                id: container.id?,
                labels: container.labels.unwrap_or_default(),
            })
        });
        Ok(own.collect())
    }

    /// Removes a container, running or not. One that is gone already is no error.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn remove_container(&self, id: &str) -> Result<(), DockerError> {
        let removed = remove_container(&self.client, id).await;
        removed.map_err(|source| failed(format!("remove the container {id}"), source))
    }

    /// Removes an image by its reference, unless something uses it.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn remove_image(&self, reference: &str) -> Result<Removal, DockerError> {
        let options = RemoveImageOptionsBuilder::new().build();
        let removed = self
            .client
            .remove_image(reference, Some(options), None)
            .await;
        match removed {
            Ok(_) => Ok(Removal::Removed),
            Err(Fault::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(Removal::Absent),
            Err(Fault::DockerResponseServerError {
                status_code: 409, ..
            }) => Ok(Removal::InUse),
            Err(source) => Err(failed(format!("remove the image {reference}"), source)),
        }
    }
}

/// A file's bytes as a stream.
async fn chunks(
    path: &Path,
) -> Result<impl Stream<Item = std::io::Result<Bytes>> + Send + 'static, DockerError> {
    let file = File::open(path).await.map_err(|source| DockerError::File {
        action: format!("read {}", path.display()),
        source,
    })?;
    Ok(futures_util::stream::try_unfold(file, |mut file| async {
        let mut buffer = vec![0; 256 * 1024];
        let read = file.read(&mut buffer).await?;
        buffer.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(buffer), file)))
    }))
}

fn with_own(labels: &HashMap<String, String>) -> HashMap<String, String> {
    let mut labels = labels.clone();
    labels.insert(LABEL.to_owned(), "1".to_owned());
    labels
}

/// Whether a reference has a tag; the colon of a registry's port is none.
fn has_tag(reference: &str) -> bool {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.contains(':')
}

fn failed(action: String, source: Fault) -> DockerError {
    DockerError::Request { action, source }
}
