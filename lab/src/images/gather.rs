//! Gathers what builds are made from: package sets and tarballs, as few fetches as it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::join_all;

use super::apt::{Apt, AptError, Fetched, Want};
use super::archive;
use super::event::{Listener, Step};
use super::gathered::{Gathered, NoPackages, NoTarball};
use super::request::{Effort, ProvideRequest};
use super::sets::SetOf;
use super::store::{PackageSet, Remembered, Store};
use super::tarball::{self, Nowhere, TarballError};
use super::task::{blocking, lock, step};
use crate::catalog::{Digest, Image, Release};

/// What apt fetched of each suite.
type OfSuites = BTreeMap<String, Result<Fetched, Arc<AptError>>>;

/// Gathers what the requested images need and the store lacks.
pub(super) struct Gathering<'a> {
    pub(super) request: &'a ProvideRequest<'a>,
    pub(super) events: &'a Listener,
    pub(super) apt: Apt<'a>,
}

impl Gathering<'_> {
    /// `built` says whether an image needs no tarball any more.
    pub(super) async fn run(&self, built: impl Fn(&Image) -> bool) -> Gathered {
        let mut gathered = Gathered::default();
        let mut wants: BTreeMap<String, Want> = BTreeMap::new();
        let mut asked = Vec::new();
        for set in self.sets_needed() {
            match self.without_apt(&set) {
                Some(had) => gathered.keep_set(set, had),
                None => {
                    let want = wants.entry(set.suite.clone()).or_default();
                    want.sets.insert(set.set.to_owned(), set.asked.clone());
                    asked.push(set);
                }
            }
        }
        let mut sought = Vec::new();
        for release in self.releases(built) {
            match self.tarball_without_network(release).await {
                Some(had) => gathered.keep_tarball(release, had),
                None => sought.push(release),
            }
        }
        for release in &sought {
            if let Some(source) = &release.debian_source {
                let version = source.version.as_ref();
                let version = version.map_or(String::new(), |v| format!("={v}"));
                let want = wants.entry(source.suite.clone()).or_default();
                want.sources.push(format!("iptables{version}"));
            }
        }
        let fetched = self.fetch_all(wants).await;
        for set in asked {
            let had = self.keep_set(&set, &fetched).await;
            gathered.keep_set(set, had);
        }
        let found = sought.iter().map(|release| self.seek(release, &fetched));
        for (release, had) in sought.iter().zip(join_all(found).await) {
            gathered.keep_tarball(release, had);
        }
        gathered
    }

    fn sets_needed(&self) -> BTreeSet<SetOf> {
        let of_images = self.request.images.iter();
        let of_images = of_images.flat_map(|image| SetOf::of(image, self.request));
        of_images.chain([SetOf::base(self.request)]).collect()
    }

    /// The releases that are needed, each once.
    fn releases(&self, built: impl Fn(&Image) -> bool) -> Vec<&Release> {
        let images = self.request.images.iter().filter(|image| !built(image));
        let mut releases: Vec<&Release> = Vec::new();
        for release in images.flat_map(Image::releases) {
            if !releases.contains(&release) {
                releases.push(release);
            }
        }
        releases
    }

    /// The set from the store, or the reason of a failure that is not long ago.
    fn without_apt(&self, set: &SetOf) -> Option<Result<PackageSet, NoPackages>> {
        let again = self.request.effort != Effort::Usual && set.is_tool();
        if let Some(found) = set.in_store(self.request.store).filter(|_| !again) {
            return Some(Ok(found));
        }
        self.miss(&set.miss_key()).map(|miss| Err(miss.into()))
    }

    fn miss(&self, what: &str) -> Option<Remembered> {
        match self.request.effort {
            Effort::Usual => self.request.store.miss(what),
            Effort::Retry | Effort::Rebuild => None,
        }
    }

    async fn tarball_without_network(
        &self,
        release: &Release,
    ) -> Option<Result<PathBuf, NoTarball>> {
        let (store, folders) = (self.request.store.clone(), self.request.tarballs.clone());
        let looked_for = release.clone();
        let found = blocking(move || tarball::at_hand(&store, &folders, &looked_for)).await;
        match found {
            Ok(Some(path)) => Some(Ok(path)),
            Ok(None) => {
                let miss = self.miss(&tarball_miss_key(&release.sha256));
                miss.map(|miss| Err(miss.into()))
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    async fn fetch_all(&self, wants: BTreeMap<String, Want>) -> OfSuites {
        let fetches = wants.into_iter().map(|(suite, want)| async move {
            let about = Step::Fetch {
                suite: suite.clone(),
            };
            let store = self.request.store;
            let name = format!("suite-{suite}");
            let fetched = async {
                let _held = lock(store, &name, self.events, about.clone()).await?;
                let fetch = self.apt.fetch(&suite, &want);
                step(self.events, about, fetch).await
            };
            let fetched = fetched.await.map_err(Arc::new);
            (suite, fetched)
        });
        join_all(fetches).await.into_iter().collect()
    }

    async fn keep_set(&self, set: &SetOf, fetched: &OfSuites) -> Result<PackageSet, NoPackages> {
        let why = match self.take_set(set, fetched).await {
            Ok(kept) => return Ok(kept),
            Err(why) => why,
        };
        // Asked again without need: what was there before still serves.
        if let Some(before) = set.in_store(self.request.store) {
            return Ok(before);
        }
        self.remember(&set.miss_key(), &why);
        Err(why)
    }

    /// Takes what apt fetched of a set into the store.
    async fn take_set(&self, set: &SetOf, fetched: &OfSuites) -> Result<PackageSet, NoPackages> {
        let fetched = match fetched.get(&set.suite) {
            Some(Ok(fetched)) => fetched,
            Some(Err(error)) => return Err(error.clone().into()),
            None => return Err(NoPackages::NotFetched),
        };
        let files = match fetched.sets.get(set.set) {
            Some(Some(files)) => files.clone(),
            Some(None) => return Err(Arc::new(self.not_fetched(fetched)).into()),
            None => return Err(NoPackages::NotFetched),
        };
        let (store, wanted) = (self.request.store.clone(), set.clone());
        blocking(move || keep(&store, &wanted, files)).await
    }

    /// Why apt did not fetch a set.
    fn not_fetched(&self, fetched: &Fetched) -> AptError {
        let store = self.request.store;
        match &fetched.log {
            None if store.is_nearly_full() => AptError::NoRoom {
                store: store.path().to_owned(),
            },
            log => AptError::Packages { log: log.clone() },
        }
    }

    /// The release's tarball from Debian's source package, else from upstream.
    async fn seek(&self, release: &Release, fetched: &OfSuites) -> Result<PathBuf, NoTarball> {
        let in_debian = match take_from(self.request.store, release, fetched) {
            Ok(Some(path)) => return Ok(path),
            Ok(None) => None,
            Err(wrong) => Some(wrong),
        };
        let (store, wanted) = (self.request.store.clone(), release.clone());
        let events = self.events.clone();
        let about = Step::Download {
            archive: release.archive.clone(),
        };
        let download = blocking(move || tarball::download(&store, &wanted, &events));
        let upstream = match step(self.events, about, download).await {
            Ok(path) => return Ok(path),
            Err(error) => error,
        };
        let nowhere = Nowhere {
            in_debian,
            upstream,
        };
        self.remember(&tarball_miss_key(&release.sha256), &nowhere);
        Err(Box::new(nowhere).into())
    }

    fn remember(&self, what: &str, why: &impl Error) {
        // Where it cannot be remembered, it is only looked for again.
        let _ = self.request.store.keep_miss(what, &why.to_string());
    }
}

pub(super) fn tarball_miss_key(sha256: &Digest) -> String {
    format!("tarball {sha256}")
}

fn keep(store: &Store, set: &SetOf, files: Vec<PathBuf>) -> Result<PackageSet, NoPackages> {
    let describe = |path: PathBuf| match archive::describe_deb(&path) {
        Ok(package) => Ok((path, package)),
        Err(source) => Err(NoPackages::Package { path, source }),
    };
    let described: Result<Vec<_>, NoPackages> = files.into_iter().map(describe).collect();
    Ok(store.keep_package_set(&set.suite, set.set, &set.asked, described?)?)
}

/// The release's tarball among the files of the source package that is said to hold it, if it could be had.
///
/// # Errors
/// The version that was asked for holds another tarball.
fn take_from(
    store: &Store,
    release: &Release,
    fetched: &OfSuites,
) -> Result<Option<PathBuf>, TarballError> {
    let Some(source) = &release.debian_source else {
        return Ok(None);
    };
    let Some(Ok(fetched)) = fetched.get(&source.suite) else {
        return Ok(None);
    };
    let mut wrong = None;
    for path in &fetched.sources {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.contains(".orig.tar") || name.ends_with(".asc") {
            continue;
        }
        match tarball::take(store, path, name.into_owned(), &release.sha256) {
            Ok(path) => return Ok(Some(path)),
            Err(reason) => wrong = Some(reason),
        }
    }
    // A suite's newest version moves on: that it is another says nothing.
    match (wrong, &source.version) {
        (Some(wrong), Some(_)) => Err(wrong),
        _ => Ok(None),
    }
}
