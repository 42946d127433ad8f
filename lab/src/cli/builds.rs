//! `builds`: which there are, making them, removing what was made.

use clap::{Args, Subcommand};

use super::Common;
use super::exit::{Exit, Failure, Or};
use super::output;
use super::progress::say;
use super::select::select;
use super::session::Session;
use crate::catalog::{BuildId, Image, Missing};
use crate::images::{self, Effort, Provision, Remove, Surveyed};
use crate::report;
use crate::report::builds::Row;

#[derive(Args)]
pub struct BuildsArgs {
    #[command(subcommand)]
    command: Option<BuildsCommand>,
}

#[derive(Subcommand)]
enum BuildsCommand {
    /// List every build: built, not built yet, or why it cannot be had. Makes nothing.
    List,
    /// Make builds, also those that could not be had before. Exit status 3 if one that is named cannot be had.
    Build {
        /// Ids of builds, names of images, or globs; without them, all.
        ids: Vec<String>,
        /// Build again what is there: the same sources must give the same digest.
        #[arg(long)]
        again: bool,
    },
    /// Remove every container image and root filesystem that the lab made; the next run makes them again.
    Remove {
        /// Remove the fetched tarballs and packages and the toolchain too.
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(args: &BuildsArgs, common: &Common) -> Result<Exit, Failure> {
    let session = Session::open(common).await?;
    match &args.command {
        None | Some(BuildsCommand::List) => {
            let rows = session.unless_interrupted(async { Ok(list(&session).await) });
            let rows = rows.await?;
            output::print(&report::builds::render(&rows, output::width()))?;
            if rows.iter().any(|row| matches!(row, Row::Missing(_))) {
                eprintln!(
                    "
`builds build` tries again to get what is missing."
                );
            }
            Ok(Exit::Ran)
        }
        Some(BuildsCommand::Build { ids, again }) => {
            let effort = if *again {
                Effort::Rebuild
            } else {
                Effort::Retry
            };
            build(&session, ids, effort).await
        }
        Some(BuildsCommand::Remove { all }) => {
            let what = if *all {
                Remove::BuildsAndSources
            } else {
                Remove::Builds
            };
            let remove = async {
                let (store, in_use, means) = (&session.store, &session.in_use, &session.means);
                let removed = images::remove(store, in_use, means, what).await;
                removed.or_exit(Exit::Lacks)
            };
            let removed = session.unless_interrupted(remove).await?;
            say(format_args!(
                "removed {removed} container images and the builds in {}",
                session.store.path().display()
            ));
            Ok(Exit::Ran)
        }
    }
}

async fn list(session: &Session) -> Vec<Row> {
    let images = session.catalog.images.clone();
    let request = session.request(images, Effort::Usual);
    let mut rows = Vec::new();
    for (image, found) in images::survey(&request, &session.means).await {
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

async fn build(session: &Session, patterns: &[String], effort: Effort) -> Result<Exit, Failure> {
    let images = &session.catalog.images;
    let ids: Vec<(BuildId, &Image)> = images
        .iter()
        .flat_map(|image| image.ids().into_iter().map(move |id| (id, image)))
        .collect();
    let chosen: Vec<Image> = match select("image", images, |image| &image.name, patterns) {
        Ok(chosen) => chosen.into_iter().cloned().collect(),
        Err(_) => {
            let by_id =
                select("build", &ids, |(id, _)| id.as_str(), patterns).or_exit(Exit::Usage)?;
            images
                .iter()
                .filter(|image| by_id.iter().any(|(_, of)| of.name == image.name))
                .cloned()
                .collect()
        }
    };
    let provision = session.provide(chosen, effort).await?;
    output::print(&report::builds::render(&rows(&provision), output::width()))?;
    let failed = !patterns.is_empty() && !provision.missing.is_empty();
    Ok(if failed { Exit::Lacks } else { Exit::Ran })
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
