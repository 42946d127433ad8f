//! Provides every requested image: what was built is used again, what was not is built, what cannot be had is named.

use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore};

use super::apt::Apt;
use super::container::Pull;
use super::event::Listener;
use super::gather::{Gathering, tarball_miss_key};
use super::gathered::PackagesError;
use super::material::{Material, MaterialError, key_in_store, material_of, of_releases};
use super::request::{Effort, ImagesError, ProvideRequest, Provision};
use super::roots::Roots;
use super::sets::SetOf;
use super::store::{InUse, Record, Remove, Store};
use super::workshop::{Workshop, miss_key};
use crate::catalog::{Image, Source, Version};
use crate::docker::{Docker, Removal};

/// Provides the requested images, to be run in `roots`, as [`try_provide`] does.
///
/// # Errors
/// The store or the daemon fails, or not one build can be had.
pub async fn provide(
    request: &ProvideRequest<'_>,
    roots: &dyn Roots,
    events: &Listener,
) -> Result<Provision, ImagesError> {
    try_provide(request, roots, events).await?.some()
}

/// The version of Debian's package that the store holds, which an image's builds are named after.
pub fn version_in_store(request: &ProvideRequest<'_>, image: &Image) -> Option<Version> {
    let Source::Suite { suite } = &image.source else {
        return None;
    };
    let packages = SetOf::tool(suite, image).in_store(request.store)?;
    packages.version(image.tool.package()).cloned()
}

/// Provides the requested images, to be run in `roots`.
///
/// A build that cannot be had is named among [`Provision::missing`]; the others go on.
///
/// # Errors
/// The store or the daemon fails.
pub async fn try_provide(
    request: &ProvideRequest<'_>,
    roots: &dyn Roots,
    events: &Listener,
) -> Result<Provision, ImagesError> {
    roots.prepare(events).await?;
    let apt = Apt::new(request.docker, request.store, &request.labels, events);
    let gathering = Gathering {
        request,
        events,
        apt,
    };
    let built = |image: &Image| {
        let material = of_releases(image).map(|of| Material::Compiled(Box::new(of)));
        let key = material.and_then(|material| key_in_store(request, image, &material));
        request.effort != Effort::Rebuild
            && key.is_some_and(|key| request.store.build(&key).is_some())
    };
    let gathered = gathering.run(built).await;
    let workshop = Workshop {
        request,
        events,
        roots,
        gathered,
        places: Semaphore::new(request.jobs.max(1)),
        toolchain: OnceCell::new(),
    };
    Ok(workshop.all().await)
}

/// Removes everything that the lab keeps: its images in `docker`, if it is there, but for those in use, and the store's
/// builds, which nobody but this run may be using: commands of a native run would not be found from then on.
///
/// # Errors
/// Another run uses the store; the daemon or the store fails.
pub async fn remove(
    store: &Store,
    in_use: &InUse,
    docker: Option<&Docker>,
    what: Remove,
) -> Result<usize, ImagesError> {
    in_use.alone()?;
    let mut removed = 0;
    if let Some(docker) = docker {
        let images = docker.own_images().await?;
        for image in images.iter().filter(|image| image.is_made_here()) {
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
pub async fn survey(request: &ProvideRequest<'_>) -> Vec<(Image, Surveyed)> {
    let looks = request.images.iter().map(|image| async move {
        let found = look(request, image).await;
        let missing = |error: MaterialError| Surveyed::Missing(error.to_string());
        (image.clone(), found.unwrap_or_else(missing))
    });
    join_all(looks).await
}

async fn look(request: &ProvideRequest<'_>, image: &Image) -> Result<Surveyed, MaterialError> {
    let material = material_of(request, image, Pull::Never).await?;
    let key = key_in_store(request, image, &material);
    let found = key.as_ref().and_then(|key| request.store.build(key));
    if let Some((record, _)) = found {
        return Ok(Surveyed::Built(Box::new(record)));
    }
    let store = request.store;
    let remembered = |key: String| store.miss(&key).map(|miss| miss.to_string());
    let packages_missed = |set: SetOf| {
        let missed = PackagesError::remembered(&set, store);
        missed.map(|error| error.to_string())
    };
    let mut releases = image.releases();
    let tarball = releases.find_map(|release| remembered(tarball_miss_key(&release.sha256)));
    let build = || remembered(miss_key(key.as_ref()?));
    let packages = || {
        SetOf::of(image, request)
            .into_iter()
            .find_map(packages_missed)
    };
    let base = || packages_missed(SetOf::base(request));
    let missed = tarball.or_else(build).or_else(packages).or_else(base);
    Ok(missed.map_or(Surveyed::NotBuilt, Surveyed::Missing))
}
