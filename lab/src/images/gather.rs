//! Gathers what builds are made from: package sets and tarballs, as few fetches as it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::future::join_all;

use super::apt::{Apt, Fetched, Want};
use super::archive;
use super::event::{Listener, Step};
use super::request::{Effort, ProvideRequest};
use super::store::{PackageSet, Store};
use super::tarball;
use super::work::{blocking, lock, step};
use crate::catalog::{Digest, Image, Release, Source, Tool};

/// A package set, by its suite and name, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetOf {
    suite: String,
    set: &'static str,
    asked: Vec<String>,
}

impl SetOf {
    /// Debian's package of a tool, as people run it.
    pub(super) fn tool(suite: &str, tool: Tool) -> SetOf {
        SetOf {
            suite: suite.to_owned(),
            set: tool.package(),
            asked: match tool {
                Tool::Iptables => vec!["iptables".into(), "netbase".into()],
                Tool::Nft => vec!["nftables".into()],
            },
        }
    }

    /// Whether a suite may have newer builds of it.
    fn is_tool(&self) -> bool {
        [Tool::Iptables, Tool::Nft]
            .iter()
            .any(|tool| self.set == tool.package())
    }

    pub(super) fn toolchain(request: &ProvideRequest<'_>) -> SetOf {
        let toolchain = &request.catalog.toolchain;
        SetOf {
            suite: toolchain.suite.clone(),
            set: "toolchain",
            asked: toolchain.packages.clone(),
        }
    }

    pub(super) fn base(request: &ProvideRequest<'_>) -> SetOf {
        let base = &request.catalog.base;
        SetOf {
            suite: base.suite.clone(),
            set: "base",
            asked: base.packages.clone(),
        }
    }

    pub(super) fn in_store(&self, store: &Store) -> Option<PackageSet> {
        store.package_set(&self.suite, self.set, &self.asked)
    }

    /// What an image is unpacked from, or compiled with.
    pub(super) fn of(image: &Image, request: &ProvideRequest<'_>) -> Option<SetOf> {
        match &image.source {
            Source::Suite { suite } => Some(SetOf::tool(suite, image.tool)),
            Source::Release(_) | Source::Tarball { .. } | Source::Tree { .. } => {
                Some(SetOf::toolchain(request))
            }
            Source::Container { .. } | Source::Host => None,
        }
    }

    /// Why it cannot be had, if that was found out not long ago.
    pub(super) fn missed(&self, store: &Store) -> Option<String> {
        let reason = store.miss(&self.miss_key());
        reason.map(|reason| self.told(&reason))
    }

    fn told(&self, reason: &str) -> String {
        format!("packages of {}: {reason}", self.suite)
    }

    fn miss_key(&self) -> String {
        format!("packages {} {}", self.suite, self.asked.join(" "))
    }
}

/// What was gathered; what could not be had has its reason.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    sets: BTreeMap<SetOf, Result<PackageSet, String>>,
    tarballs: BTreeMap<String, Result<PathBuf, String>>,
}

impl Gathered {
    /// A package set.
    ///
    /// # Errors
    /// It could not be had.
    pub(super) fn set(&self, set: &SetOf) -> Result<&PackageSet, String> {
        match self.sets.get(set) {
            Some(Ok(packages)) => Ok(packages),
            Some(Err(reason)) => Err(set.told(reason)),
            None => Err(set.told("they were not fetched")),
        }
    }

    /// A release's tarball.
    ///
    /// # Errors
    /// It could not be had.
    pub(super) fn tarball(&self, release: &Release) -> Result<PathBuf, String> {
        let found = self.tarballs.get(release.sha256.as_str()).cloned();
        found.unwrap_or_else(|| Err(format!("{} was not looked for", release.archive)))
    }
}

/// Gathers what the requested images need and the store lacks.
pub(super) struct Gathering<'a> {
    pub(super) request: &'a ProvideRequest<'a>,
    pub(super) events: &'a Listener,
    pub(super) apt: Apt<'a>,
}

impl Gathering<'_> {
    /// `built` says whether a release needs no tarball any more.
    pub(super) async fn run(&self, built: impl Fn(&Release) -> bool) -> Gathered {
        let mut gathered = Gathered::default();
        let mut wants: BTreeMap<String, Want> = BTreeMap::new();
        let mut asked = Vec::new();
        for set in self.sets_needed() {
            match self.without_apt(&set) {
                Some(result) => drop(gathered.sets.insert(set, result)),
                None => {
                    let want = wants.entry(set.suite.clone()).or_default();
                    want.sets.insert(set.set.to_owned(), set.asked.clone());
                    asked.push(set);
                }
            }
        }
        let mut sought = Vec::new();
        for release in self.releases().filter(|release| !built(release)) {
            match self.tarball_without_network(release).await {
                Some(result) => {
                    let key = release.sha256.to_string();
                    gathered.tarballs.insert(key, result);
                }
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
            let result = self.keep_set(&set, &fetched).await;
            gathered.sets.insert(set, result);
        }
        let found = sought.iter().map(|release| self.seek(release, &fetched));
        for (release, result) in sought.iter().zip(join_all(found).await) {
            gathered.tarballs.insert(release.sha256.to_string(), result);
        }
        gathered
    }

    fn sets_needed(&self) -> BTreeSet<SetOf> {
        let of_images = self.request.images.iter();
        let of_images = of_images.filter_map(|image| SetOf::of(image, self.request));
        of_images.chain([SetOf::base(self.request)]).collect()
    }

    fn releases(&self) -> impl Iterator<Item = &Release> {
        let images = self.request.images.iter();
        images.filter_map(|image| match &image.source {
            Source::Release(release) => Some(release),
            _ => None,
        })
    }

    /// The set from the store, or the reason of a failure that is not long ago.
    fn without_apt(&self, set: &SetOf) -> Option<Result<PackageSet, String>> {
        let again = self.request.effort != Effort::Usual && set.is_tool();
        if let Some(found) = set.in_store(self.request.store).filter(|_| !again) {
            return Some(Ok(found));
        }
        self.miss(&set.miss_key()).map(Err)
    }

    fn miss(&self, what: &str) -> Option<String> {
        match self.request.effort {
            Effort::Usual => self.request.store.miss(what),
            Effort::Retry | Effort::Rebuild => None,
        }
    }

    async fn tarball_without_network(&self, release: &Release) -> Option<Result<PathBuf, String>> {
        let (store, folders) = (self.request.store.clone(), self.request.tarballs.clone());
        let looked_for = release.clone();
        let found = blocking(move || tarball::at_hand(&store, &folders, &looked_for)).await;
        match found {
            Ok(Some(path)) => Some(Ok(path)),
            Ok(None) => self.miss(&tarball_miss_key(&release.sha256)).map(Err),
            Err(reason) => Some(Err(reason)),
        }
    }

    async fn fetch_all(
        &self,
        wants: BTreeMap<String, Want>,
    ) -> BTreeMap<String, Result<Fetched, String>> {
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
            let fetched = fetched.await;
            (suite, fetched)
        });
        join_all(fetches).await.into_iter().collect()
    }

    async fn keep_set(
        &self,
        set: &SetOf,
        fetched: &BTreeMap<String, Result<Fetched, String>>,
    ) -> Result<PackageSet, String> {
        let store = self.request.store.clone();
        let files = match fetched.get(&set.suite) {
            Some(Ok(fetched)) => fetched.sets.get(set.set).cloned(),
            Some(Err(reason)) => Some(Err(reason.clone())),
            None => None,
        };
        let files = files.unwrap_or_else(|| Err("they were not fetched".to_owned()));
        let wanted = set.clone();
        let kept = match files {
            Ok(files) => blocking(move || keep(&store, &wanted, files)).await,
            Err(reason) => Err(reason),
        };
        let reason = match kept {
            Ok(kept) => return Ok(kept),
            Err(reason) => reason,
        };
        // Asked again without need: what was there before still serves.
        if let Some(before) = set.in_store(self.request.store) {
            return Ok(before);
        }
        self.remember(&set.miss_key(), &reason);
        Err(reason)
    }

    /// The release's tarball from Debian's source package, else from upstream.
    async fn seek(
        &self,
        release: &Release,
        fetched: &BTreeMap<String, Result<Fetched, String>>,
    ) -> Result<PathBuf, String> {
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
            Err(reason) => reason,
        };
        let reason = tarball::nowhere(in_debian.as_deref(), &upstream);
        self.remember(&tarball_miss_key(&release.sha256), &reason);
        Err(reason)
    }

    fn remember(&self, what: &str, reason: &str) {
        // Where it cannot be remembered, it is only looked for again.
        let _ = self.request.store.keep_miss(what, reason);
    }
}

pub(super) fn tarball_miss_key(sha256: &Digest) -> String {
    format!("tarball {sha256}")
}

fn keep(store: &Store, set: &SetOf, files: Vec<PathBuf>) -> Result<PackageSet, String> {
    let describe = |file: PathBuf| {
        let package = archive::describe_deb(&file);
        let package = package.map_err(|e| format!("{}: {e}", file.display()))?;
        Ok((file, package))
    };
    let described: Result<Vec<_>, String> = files.into_iter().map(describe).collect();
    let kept = store.keep_package_set(&set.suite, set.set, &set.asked, described?);
    kept.map_err(|e| e.to_string())
}

/// The release's tarball among the files of the source package that is said to hold it, if it could be had.
///
/// # Errors
/// The version that was asked for holds another tarball; one sentence with both digests.
fn take_from(
    store: &Store,
    release: &Release,
    fetched: &BTreeMap<String, Result<Fetched, String>>,
) -> Result<Option<PathBuf>, String> {
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
        match tarball::take(store, path, &name, &release.sha256) {
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
