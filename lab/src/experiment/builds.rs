//! The builds themselves: which there are, making them, removing what was made.

use std::path::PathBuf;

use super::failure::{Failure, OrFailure};
use super::select::select;
use super::session::{Session, SessionOptions};
use crate::catalog::{BuildId, Image, Missing};
use crate::images::{self, Effort, Provision, Remove, Surveyed};
use crate::report::builds::Row;

/// Every build: built, not built yet, or why it cannot be had. Makes nothing.
///
/// # Errors
/// The machine lacks something, or someone interrupted.
pub async fn list(session: SessionOptions) -> Result<Vec<Row>, Failure> {
    let session = Session::open(session).await?;
    let rows = session.unless_interrupted(async { Ok(survey(&session).await) });
    rows.await
}

async fn survey(session: &Session) -> Vec<Row> {
    let images = session.catalog.images.clone();
    let request = session.request(images, Effort::Usual);
    let mut rows = Vec::new();
    for (image, found) in images::survey(&request).await {
        match found {
            Surveyed::Built(record) => rows.extend(
                record
                    .builds(&image)
                    .map(|build| Row::Built(Box::new(build))),
            ),
            Surveyed::NotBuilt => rows.push(Row::NotBuilt(Box::new(image))),
            Surveyed::Missing(reason) => rows.extend(image.ids().into_iter().map(|id| {
                Row::Missing(Missing {
                    id,
                    reason: reason.clone(),
                })
            })),
        }
    }
    rows
}

/// Makes the builds that these ids, names of images or globs name; all where there is none.
///
/// # Errors
/// A pattern that names nothing, not one build that can be had, or someone interrupted.
pub async fn make(
    patterns: &[String],
    effort: Effort,
    session: SessionOptions,
) -> Result<Vec<Row>, Failure> {
    let session = Session::open(session).await?;
    let images = &session.catalog.images;
    let ids: Vec<(BuildId, &Image)> = images
        .iter()
        .flat_map(|image| image.ids().into_iter().map(move |id| (id, image)))
        .collect();
    let chosen: Vec<Image> = match select("image", images, |image| &image.name, patterns) {
        Ok(chosen) => chosen.into_iter().cloned().collect(),
        Err(_) => {
            let by_id = select("build", &ids, |(id, _)| id.as_str(), patterns).or_bad_input()?;
            images
                .iter()
                .filter(|image| by_id.iter().any(|(_, of)| of.name == image.name))
                .cloned()
                .collect()
        }
    };
    let provision = session.provide(chosen, effort).await?;
    Ok(rows(&provision))
}

/// Removes what was made: how many container images that were, and in which store the builds.
///
/// # Errors
/// Something cannot be removed, or someone interrupted.
pub async fn remove(what: Remove, session: SessionOptions) -> Result<(usize, PathBuf), Failure> {
    let session = Session::open(session).await?;
    let remove = async {
        let (store, in_use) = (&session.store, &session.in_use);
        let removed = images::remove(store, in_use, session.chosen.daemon(), what);
        removed.await.or_lacks()
    };
    let removed = session.unless_interrupted(remove).await?;
    Ok((removed, session.store.path().to_owned()))
}

fn rows(provision: &Provision) -> Vec<Row> {
    let built = provision
        .builds
        .iter()
        .map(|ready| Row::Built(Box::new(ready.build.clone())));
    built
        .chain(provision.missing.iter().cloned().map(Row::Missing))
        .collect()
}
