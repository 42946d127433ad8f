//! Provides every requested image: what was built is used again, what was not is built, what cannot be had is named.

use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore};

use super::apt::Apt;
use super::container::{Images, is_made_here};
use super::digest;
use super::event::{Listener, Step};
use super::gather::{Gathering, SetOf, tarball_miss_key};
use super::material::{Material, Pull, key_in_store, material_of};
use super::means::{Housing, Means};
use super::request::{Effort, ImagesError, ProvideRequest, Provision};
use super::store::{InUse, Record, Remove, Store};
use super::work::{blocking, lock, step};
use super::workshop::{Workshop, miss_key};
use crate::catalog::{Image, Source, Version};
use crate::docker::{Docker, DockerError, Removal};

/// Provides the requested images and their container images, as [`try_provide`] does.
///
/// # Errors
/// The store or the daemon fails, or not one build can be had.
pub async fn provide(
    request: &ProvideRequest<'_>,
    means: &Means,
    events: &Listener,
) -> Result<Provision, ImagesError> {
    try_provide(request, means, events).await?.some()
}

/// The version of Debian's package that the store holds, which an image's builds are named after.
pub fn version_in_store(request: &ProvideRequest<'_>, image: &Image) -> Option<Version> {
    let Source::Suite { suite } = &image.source else {
        return None;
    };
    let packages = SetOf::tool(suite, image.tool).in_store(request.store)?;
    packages.version(image.tool.package()).cloned()
}

/// Provides the requested images and their container images.
///
/// A build that cannot be had is named among [`Provision::missing`]; the others go on.
///
/// # Errors
/// The store or the daemon fails.
pub async fn try_provide(
    request: &ProvideRequest<'_>,
    means: &Means,
    events: &Listener,
) -> Result<Provision, ImagesError> {
    let housing = match means {
        Means::Docker(docker) => Housing::Containers(containers(request, docker, events).await?),
        Means::Native { program, .. } => Housing::Directories {
            store: request.store,
            program,
        },
    };
    let apt = Apt::new(means.docker(), request.store, &request.labels, events);
    let gathering = Gathering {
        request,
        events,
        apt,
    };
    let built = |release: &crate::catalog::Release| {
        let source = Material::Tarball(release.sha256.clone());
        let key = key_in_store(request, &source);
        request.effort != Effort::Rebuild
            && key.is_some_and(|key| request.store.build(&key).is_some())
    };
    let gathered = gathering.run(built).await;
    let workshop = Workshop {
        request,
        means,
        events,
        housing,
        gathered,
        places: Semaphore::new(request.jobs.max(1)),
        toolchain: OnceCell::new(),
    };
    Ok(workshop.all().await)
}

/// What makes container images, and the holder's, which every lane needs.
async fn containers<'a>(
    request: &'a ProvideRequest<'_>,
    docker: &'a Docker,
    events: &Listener,
) -> Result<Images<'a>, ImagesError> {
    let agent = request.agent.to_owned();
    let agent_digest = blocking(move || Ok(digest::of_file(&agent))).await;
    let agent_digest = agent_digest
        .unwrap_or_else(|reason| Err(std::io::Error::other(reason)))
        .map_err(|source| ImagesError::Agent {
            path: request.agent.to_owned(),
            source,
        })?;
    let images = Images {
        docker,
        store: request.store,
        agent: request.agent,
        agent_digest,
        known: docker.own_images().await?,
    };
    have_holder(&images, events).await?;
    Ok(images)
}

async fn have_holder(images: &Images<'_>, events: &Listener) -> Result<(), ImagesError> {
    let holder = images.holder();
    if images.has(&holder).await? {
        return Ok(());
    }
    let about = Step::ContainerImage {
        image: "the lane's holder".to_owned(),
    };
    let held = lock(images.store, "holder", events, about.clone()).await;
    // Without the lock two runs may both make it, which does no harm.
    if images.has(&holder).await? {
        return Ok(());
    }
    let make = async {
        images.make_holder().await?;
        images.remove_others(&holder).await;
        Ok::<_, DockerError>(())
    };
    let made = step(events, about, make).await;
    drop(held);
    Ok(made?)
}

/// Removes everything that the lab keeps: its images in Docker, if it is there, but for those in use, and the store's
/// builds, which nobody but this run may be using: commands of a native run would not be found from then on.
///
/// # Errors
/// Another run uses the store; the daemon or the store fails.
pub async fn remove(
    store: &Store,
    in_use: &InUse,
    means: &Means,
    what: Remove,
) -> Result<usize, ImagesError> {
    in_use.alone()?;
    let mut removed = 0;
    if let Some(docker) = means.docker() {
        let images = docker.own_images().await?;
        for image in images.iter().filter(|image| is_made_here(image)) {
            if docker.remove_image(&image.reference()).await? == Removal::Removed {
                removed += 1;
            }
        }
    }
    store.remove(what)?;
    Ok(removed)
}

/// What is known of an image that nothing is done for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surveyed {
    /// The store holds it.
    Built(Box<Record>),
    /// Nobody has asked for it yet.
    NotBuilt,
    /// It cannot be had, or could not within the last hour; one sentence.
    Missing(String),
}

/// What the store has of each image of the catalog, without fetching or building anything.
pub async fn survey(request: &ProvideRequest<'_>, means: &Means) -> Vec<(Image, Surveyed)> {
    let looks = request.images.iter().map(|image| async move {
        let found = look(request, means.docker(), image).await;
        (image.clone(), found.unwrap_or_else(Surveyed::Missing))
    });
    join_all(looks).await
}

async fn look(
    request: &ProvideRequest<'_>,
    docker: Option<&Docker>,
    image: &Image,
) -> Result<Surveyed, String> {
    let (material, _) = material_of(request, docker, image, Pull::Never).await?;
    let key = key_in_store(request, &material);
    let found = key.as_ref().and_then(|key| request.store.build(key));
    if let Some((record, _)) = found {
        return Ok(Surveyed::Built(Box::new(record)));
    }
    let store = request.store;
    let tarball = match &image.source {
        Source::Release(release) => store.miss(&tarball_miss_key(&release.sha256)),
        _ => None,
    };
    let build = || store.miss(&miss_key(key.as_ref()?));
    let packages = || SetOf::of(image, request)?.missed(store);
    let base = || SetOf::base(request).missed(store);
    let missed = tarball.or_else(build).or_else(packages).or_else(base);
    Ok(missed.map_or(Surveyed::NotBuilt, Surveyed::Missing))
}
