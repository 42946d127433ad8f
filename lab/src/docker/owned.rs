//! A container that is removed, with force, when nobody holds it any more.

use bollard::errors::Error as Fault;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};

use super::{Docker, DockerError, failed};

/// A container that is removed, with force, when this is dropped.
pub(super) struct Owned {
    client: Option<bollard::Docker>,
    name: String,
    /// Empty until the daemon has said it.
    id: String,
}

impl Owned {
    /// Creates a container. Its name comes from the lab, so that it can be removed even when the daemon's answer never
    /// arrives.
    pub(super) async fn create(
        docker: &Docker,
        name: String,
        body: ContainerCreateBody,
    ) -> Result<Owned, DockerError> {
        let image = body.image.clone().unwrap_or_default();
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let mut container = Owned {
            client: Some(docker.client.clone()),
            name,
            id: String::new(),
        };
        match docker.client.create_container(Some(options), body).await {
            Ok(created) => {
                container.id = created.id;
                Ok(container)
            }
            Err(source) => {
                container.remove().await?;
                Err(match source {
                    Fault::DockerResponseServerError {
                        status_code: 404, ..
                    } => DockerError::NoImage { image },
                    source => failed(format!("create a container of {image}"), source),
                })
            }
        }
    }

    /// The container's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Removes it, and waits until the daemon has.
    pub(super) async fn remove(mut self) -> Result<(), DockerError> {
        let Some(client) = &self.client else {
            return Ok(());
        };
        // Until the daemon has answered, the drop guard stays armed.
        let removed = remove_container(client, &self.name).await;
        self.client = None;
        removed.map_err(|e| failed(format!("remove the container {}", self.name), e))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.client.is_none() {
            return;
        }
        // Only reached when the run was cancelled: its runtime may be going down, so the removal gets its own.
        let name = std::mem::take(&mut self.name);
        let removing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .ok()?;
            let client = bollard::Docker::connect_with_defaults().ok()?;
            runtime.block_on(remove_container(&client, &name)).ok()
        });
        // Nobody is left to tell; what is left over carries the run's label and is removed at the next start.
        let _ = removing.join();
    }
}

/// Removes a container, running or not. One that is gone already is no error.
pub(super) async fn remove_container(client: &bollard::Docker, name: &str) -> Result<(), Fault> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match client.remove_container(name, Some(options)).await {
        // Being removed already, or never made.
        Err(Fault::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => Ok(()),
        other => other,
    }
}
