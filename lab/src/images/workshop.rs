//! Makes what is missing of one request: root filesystems, their banners, their container images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore};

use super::archive;
use super::compile::{self, Compilation, NotCompiled};
use super::event::{Event, Listener, Step, Unit};
use super::gather::{Gathered, SetOf};
use super::material::{Material, Pull, key_of, material_of, no_daemon};
use super::means::{Home, Housing, Means};
use super::request::{Effort, ProvideRequest, Provision, ReadyBuild};
use super::store::{PackageSet, Record};
use super::tree::{Kind, Tree};
use super::work::{blocking, lock, step};
use super::{own, rootfs};
use crate::catalog::{
    Backend, Build, BuildId, Digest, Image, Missing, Origin, Source, Tool, Version,
};

/// Makes what is missing of one request.
pub(super) struct Workshop<'a> {
    pub(super) request: &'a ProvideRequest<'a>,
    pub(super) means: &'a Means,
    pub(super) events: &'a Listener,
    pub(super) housing: Housing<'a>,
    pub(super) gathered: Gathered,
    /// As many as builds are made side by side.
    pub(super) places: Semaphore,
    pub(super) toolchain: OnceCell<Home>,
}

/// An image's root filesystem, ready, and where it lives.
struct Ready {
    name: String,
    record: Record,
    rootfs: PathBuf,
    home: Home,
}

impl Workshop<'_> {
    /// Makes all images of the request, side by side.
    pub(super) async fn all(&self) -> Provision {
        let made = self.request.images.iter().map(|image| self.image(image));
        let made = join_all(made).await;
        let mut builds = Vec::new();
        let mut missing = Vec::new();
        let mut taken = HashSet::new();
        for (image, result) in self.request.images.iter().zip(made) {
            match result {
                Ok(ready) if !taken.insert(ready.name.clone()) => {
                    let reason = format!(
                        "it is the same version as {}, which stands for it",
                        ready.name
                    );
                    missing.extend(all_missing(image, &reason));
                }
                Ok(ready) => sort_out(image, ready, &mut builds, &mut missing),
                Err(reason) => missing.extend(all_missing(image, &reason)),
            }
        }
        builds.sort_by(|a, b| order(&a.build).cmp(&order(&b.build)));
        Provision {
            builds,
            missing,
            holder_image: match &self.housing {
                Housing::Containers(images) => Some(images.holder().reference()),
                Housing::Directories { .. } => None,
            },
        }
    }

    async fn image(&self, image: &Image) -> Result<Ready, String> {
        let (material, tree) =
            material_of(self.request, self.means.docker(), image, Pull::WhenAbsent).await?;
        let set = |set: &SetOf| self.gathered.set(set).cloned();
        let key = key_of(self.request, &material, &set)?;
        if let Some(ready) = self.built(image, &key, Effort::Rebuild).await? {
            return Ok(ready);
        }
        if let (Effort::Usual, Some(reason)) = (
            self.request.effort,
            self.request.store.miss(&miss_key(&key)),
        ) {
            return Err(reason);
        }
        let name = image.name.clone();
        let about = match SetOf::of(image, self.request) {
            Some(set) if set == SetOf::toolchain(self.request) => Step::Compile { image: name },
            _ => Step::Assemble { image: name },
        };
        let _held = lock(self.request.store, key.as_str(), self.events, about).await?;
        // Another run may have made it while this one waited.
        if let Some(ready) = self.built(image, &key, Effort::Rebuild).await? {
            return Ok(ready);
        }
        let _place = self.places.acquire().await.map_err(|e| e.to_string())?;
        let made = self.make(image, &material, tree, &key).await;
        if let Err(NotCompiled::Source(reason)) = &made {
            let kept = self.request.store.keep_miss(&miss_key(&key), reason);
            kept.map_err(|e| e.to_string())?;
        }
        made.map_err(|failure| match failure {
            NotCompiled::Source(reason) | NotCompiled::Machine(reason) => reason,
        })
    }

    /// The image from the store, unless the effort is `not`; its home is made where there is none.
    async fn built(
        &self,
        image: &Image,
        key: &Digest,
        not: Effort,
    ) -> Result<Option<Ready>, String> {
        let found = self
            .request
            .store
            .build(key)
            .filter(|_| self.request.effort != not);
        let Some((record, rootfs)) = found else {
            return Ok(None);
        };
        let name = image.name_of(&record.version);
        let home = self
            .housing
            .home(&name, &rootfs, &record.digest, self.events);
        let home = home.await?;
        Ok(Some(Ready {
            name,
            record,
            rootfs,
            home,
        }))
    }

    async fn make(
        &self,
        image: &Image,
        material: &Material,
        tree: Option<Tree>,
        key: &Digest,
    ) -> Result<Ready, NotCompiled> {
        let (tree, packages) = self.root_filesystem(image, material, tree).await?;
        let about = Step::Assemble {
            image: image.name.clone(),
        };
        let finish = self.finish(image, tree, packages, key);
        let finished = step(self.events, about, finish).await;
        finished.map_err(NotCompiled::Machine)
    }

    /// Writes a root filesystem down, asks it for its banners, and makes it a build.
    async fn finish(
        &self,
        image: &Image,
        mut tree: Tree,
        packages: Contents,
        key: &Digest,
    ) -> Result<Ready, String> {
        let base = self.gathered.set(&SetOf::base(self.request))?.clone();
        let (store, files) = (
            self.request.store.clone(),
            self.request.catalog.base.clone(),
        );
        let tool = image.tool;
        let write = move || {
            rootfs::add_base(&mut tree, &store, &base, &files)?;
            let backends = rootfs::find_backends(&mut tree, tool).map_err(|e| e.to_string())?;
            let draft = store.draft(&tree).map_err(|e| e.to_string())?;
            Ok((backends, draft))
        };
        let (backends, draft) = blocking(write).await?;
        if backends.is_empty() {
            let message = match tool {
                Tool::Iptables => {
                    "it holds neither xtables-nft-multi nor xtables-legacy-multi (iptables 1.8.0 and later have them)"
                }
                Tool::Nft => "it holds no nft",
            };
            return Err(message.to_owned());
        }
        let known = packages.version.clone().or_else(|| image.version.clone());
        let name = match &packages.version {
            Some(version) => image.name_of(version),
            None => image.name.clone(),
        };
        let home = self
            .housing
            .home(&name, &draft.rootfs, &draft.digest, self.events);
        let home = home.await?;
        let banners = self.banners(&home, &backends).await;
        if banners.is_err() {
            // It is of no use, and must not be found by a later run.
            self.housing.leave(&home).await?;
        }
        let banners = banners?;
        let said = banners.values().find_map(|banner| banner_version(banner));
        let version = known.or(said).unwrap_or_else(|| Version::new("unknown"));
        let record = Record {
            key: key.clone(),
            digest: draft.digest.clone(),
            ids: banners
                .keys()
                .map(|backend| BuildId::of_tool(tool, &name, *backend))
                .collect(),
            version,
            banners,
            libnftnl: packages.libnftnl,
            packages: packages.packages,
        };
        let (store, kept) = (self.request.store.clone(), record.clone());
        let keep = move || store.keep_build(draft, &kept).map_err(|e| e.to_string());
        let rootfs = blocking(keep).await?;
        Ok(Ready {
            name,
            record,
            rootfs,
            home,
        })
    }

    async fn banners(
        &self,
        home: &Home,
        backends: &[(Backend, PathBuf)],
    ) -> Result<BTreeMap<Backend, String>, String> {
        let mut banners = BTreeMap::new();
        for (backend, path) in backends {
            let command = format!("/{}", path.display());
            let asked = self.housing.banner(home, &command, &self.request.labels);
            match asked.await {
                Ok((0, text)) => drop(banners.insert(*backend, text)),
                Ok((status, text)) => {
                    return Err(format!(
                        "its {command} --version ends with exit status {status}: {text}"
                    ));
                }
                Err(reason) => return Err(format!("its {command} --version: {reason}")),
            }
        }
        Ok(banners)
    }

    async fn root_filesystem(
        &self,
        image: &Image,
        material: &Material,
        tree: Option<Tree>,
    ) -> Result<(Tree, Contents), NotCompiled> {
        let machine = NotCompiled::Machine;
        match (&image.source, material, tree) {
            (Source::Suite { .. }, Material::Suite(set), _) => {
                let set = self.gathered.set(set).map_err(machine)?.clone();
                let contents = Contents::of_packages(&set, image.tool);
                let store = self.request.store.clone();
                let unpack = move || rootfs::from_packages(&store, &set);
                Ok((blocking(unpack).await.map_err(machine)?, contents))
            }
            (Source::Container { reference }, ..) => {
                let (store, labels) = (self.request.store, &self.request.labels);
                let docker = self.means.docker().ok_or_else(no_daemon).map_err(machine)?;
                let tree = own::from_container(docker, store, labels, reference).await;
                Ok((tree.map_err(machine)?, Contents::default()))
            }
            (Source::Host, _, Some(tree)) => Ok((tree, Contents::default())),
            (Source::Release(release), ..) => {
                let path = self.gathered.tarball(release).map_err(machine)?;
                self.compile(image, self.unpacked(path).await?).await
            }
            (Source::Tarball { path, .. }, ..) => {
                self.compile(image, self.unpacked(path.clone()).await?)
                    .await
            }
            (_, _, Some(tree)) => self.compile(image, tree).await,
            _ => Err(machine(format!("nothing was read of {}", image.name))),
        }
    }

    /// A tarball's source tree.
    async fn unpacked(&self, path: PathBuf) -> Result<Tree, NotCompiled> {
        let tmp = self.request.store.tmp();
        let unpack = move || {
            let read = || {
                let mut tree = Tree::new(Kind::Source, &tmp)?.holding(compile::LARGEST);
                archive::read_tar(&mut tree, std::fs::File::open(&path)?)?;
                tree.strip_top();
                Ok(tree)
            };
            read().map_err(|e: std::io::Error| {
                format!("the tarball {} cannot be used: {e}", path.display())
            })
        };
        blocking(unpack).await.map_err(NotCompiled::Machine)
    }

    async fn compile(&self, image: &Image, source: Tree) -> Result<(Tree, Contents), NotCompiled> {
        let toolchain = self.toolchain.get_or_try_init(|| self.make_toolchain());
        let toolchain = toolchain.await.map_err(NotCompiled::Machine)?;
        let version = image
            .version
            .clone()
            .or_else(|| compile::version_of(&source));
        let recipe = version.map(|version| self.request.catalog.recipe(&version));
        let about = Step::Compile {
            image: image.name.clone(),
        };
        let compilation = Compilation {
            means: self.means,
            store: self.request.store,
            labels: &self.request.labels,
            name: &image.name,
            toolchain,
            recipe: recipe.unwrap_or_default(),
            // Alone, a build may have every core; the digest does not depend on it.
            jobs: (self.request.jobs / self.request.images.len().max(1)).max(1),
        };
        let mut lines = |done| {
            (self.events)(Event::Progress {
                step: about.clone(),
                done,
                total: None,
                unit: Unit::Lines,
            });
        };
        (self.events)(Event::Started(about.clone()));
        let compiled = compilation.run(source, &mut lines).await;
        (self.events)(match &compiled {
            Ok(_) => Event::Finished(about.clone()),
            Err(NotCompiled::Source(reason) | NotCompiled::Machine(reason)) => Event::Failed {
                step: about.clone(),
                reason: reason.clone(),
            },
        });
        let set = self.gathered.set(&SetOf::toolchain(self.request));
        let contents = Contents::of_toolchain(
            set.map_err(NotCompiled::Machine)?,
            &self.request.catalog.toolchain.libnftnl,
        );
        Ok((compiled?, contents))
    }

    /// The toolchain's home, made where it is not there.
    async fn make_toolchain(&self) -> Result<Home, String> {
        let packages = self.gathered.set(&SetOf::toolchain(self.request))?.clone();
        let (store, toolchain) = (
            self.request.store.clone(),
            self.request.catalog.toolchain.clone(),
        );
        let key = compile::toolchain_key(&toolchain, &packages);
        let name = format!("toolchain-{}", key.short());
        let _held = lock(&store, &name, self.events, Step::Toolchain).await?;
        let known = store.toolchain(&key);
        if let Some((_, digest)) = &known
            && let Some(home) = self.known_toolchain(digest).await?
        {
            return Ok(home);
        }
        let make = async {
            let (tar, digest) = match known {
                Some(known) => known,
                None => {
                    blocking(move || compile::assemble_toolchain(&store, &toolchain, &packages))
                        .await?
                }
            };
            // Another store's toolchain may be the same.
            if let Some(home) = self.known_toolchain(&digest).await? {
                return Ok(home);
            }
            match &self.housing {
                Housing::Containers(images) => {
                    let image = compile::toolchain_image(&digest);
                    let docker = images.docker;
                    let imported = docker.import(&image, &[&tar], &[], &HashMap::new()).await;
                    imported.map_err(|e| e.to_string())?;
                    Ok(Home::Container(image.reference()))
                }
                Housing::Directories { store, .. } => {
                    let store = (*store).clone();
                    let points = rootfs::MOUNT_POINTS.iter().chain([&compile::FOLDER]);
                    let points: Vec<&str> = points.copied().collect();
                    let unpack = move || {
                        let root = store.root(&digest, &tar, &points);
                        root.map_err(|e| e.to_string())
                    };
                    blocking(unpack).await.map(Home::Directory)
                }
            }
        };
        step(self.events, Step::Toolchain, make).await
    }

    async fn known_toolchain(&self, digest: &Digest) -> Result<Option<Home>, String> {
        match &self.housing {
            Housing::Containers(images) => {
                let image = compile::toolchain_image(digest);
                let there = images.has(&image).await.map_err(|e| e.to_string())?;
                Ok(there.then(|| Home::Container(image.reference())))
            }
            Housing::Directories { store, .. } => Ok(store.known_root(digest).map(Home::Directory)),
        }
    }
}

/// What a record says of a root filesystem's contents.
#[derive(Default)]
struct Contents {
    version: Option<Version>,
    libnftnl: Option<String>,
    packages: Vec<super::Package>,
}

impl Contents {
    fn of_packages(set: &PackageSet, tool: Tool) -> Contents {
        let upstream = |version: &Version| version.release().to_owned();
        Contents {
            version: set.version(tool.package()).cloned(),
            libnftnl: set.version("libnftnl11").map(upstream),
            packages: set.packages.clone(),
        }
    }

    fn of_toolchain(set: &PackageSet, libnftnl: &str) -> Contents {
        let found = set.version(libnftnl);
        Contents {
            version: None,
            libnftnl: found.map(|version| version.release().to_owned()),
            packages: set.packages.clone(),
        }
    }
}

/// The version in `iptables v1.8.8 (nf_tables)`.
fn banner_version(banner: &str) -> Option<Version> {
    let word = banner.split_whitespace().nth(1)?;
    let version = word.strip_prefix('v')?;
    Some(Version::new(version))
}

/// What a build that failed is remembered by.
pub(super) fn miss_key(key: &Digest) -> String {
    format!("build {key}")
}

fn all_missing(image: &Image, reason: &str) -> Vec<Missing> {
    let missing = |id| Missing {
        id,
        reason: reason.to_owned(),
    };
    image.ids().into_iter().map(missing).collect()
}

/// The builds of one image, and the backends that it was to hold and does not.
fn sort_out(image: &Image, ready: Ready, builds: &mut Vec<ReadyBuild>, missing: &mut Vec<Missing>) {
    for &backend in &image.backends {
        let id = BuildId::of_tool(image.tool, &ready.name, backend);
        let Some(banner) = ready.record.banners.get(&backend) else {
            let reason = format!("it holds no xtables-{backend}-multi");
            missing.push(Missing { id, reason });
            continue;
        };
        builds.push(ReadyBuild {
            build: ready.record.build(image, backend, banner),
            home: ready.home.clone(),
            rootfs: ready.rootfs.clone(),
        });
    }
}

/// By version within a tool and backend, whoever made it: so that a matrix shows where a fault begins and ends.
pub(super) fn order(build: &Build) -> (Tool, Backend, &Version, Origin, &BuildId) {
    let Build {
        tool,
        backend,
        version,
        origin,
        id,
        ..
    } = build;
    (*tool, *backend, version, *origin, id)
}
