//! Makes what is missing of one request: root filesystems, their banners, and that they can be run.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{OnceCell, Semaphore};

use super::archive::{self, Package};
use super::banner::{self, BannerError};
use super::compile::{self, Compilation, CompileError};
use super::container::{self, ContainerError, Pull};
use super::event::{Event, Listener, Step, Unit};
use super::gathered::{Gathered, NoTarball, PackagesError};
use super::material::{Material, MaterialError, SourceCode, Sources, key_of, material_of};
use super::request::{Effort, ProvideRequest, Provision, ReadyBuild, order};
use super::rootfs::{self, RootfsError};
use super::roots::{LARGEST, RootId, Roots, RootsError};
use super::sets::SetOf;
use super::store::{PackageSet, Record, Remembered, StoreError};
use super::task::{blocking, lock, step};
use super::toolchain::{self, ToolchainError};
use super::tree::{Kind, Tree};
use crate::catalog::{BuildId, Digest, Image, LeftOut, Missing, Tool, Version};
use crate::fault;

/// Makes what is missing of one request.
pub(super) struct Workshop<'a> {
    pub(super) request: &'a ProvideRequest<'a>,
    pub(super) events: &'a Listener,
    /// Where builds are to live.
    pub(super) roots: &'a dyn Roots,
    pub(super) gathered: Gathered,
    /// As many as builds are made side by side.
    pub(super) places: Semaphore,
    pub(super) toolchain: OnceCell<RootId>,
}

/// An image's root filesystem, ready to be run.
struct Ready {
    name: String,
    record: Record,
    rootfs: PathBuf,
    root: RootId,
}

/// Why the builds of an image cannot be had.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    /// So it was found out not long ago.
    #[error(transparent)]
    Remembered(#[from] Remembered),
    /// What it is made from is not there.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// Packages that it is made from, or with, cannot be had.
    #[error(transparent)]
    Packages(#[from] Arc<PackagesError>),
    /// The release's tarball cannot be had.
    #[error(transparent)]
    NoTarball(#[from] Arc<NoTarball>),
    /// The user's package is none.
    #[error("the package {} cannot be unpacked: {source}", path.display())]
    Package {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// It has nothing of what is to be taken out of it.
    #[error("it is to be without {0}, and has no such file")]
    HasNot(LeftOut),
    /// Its tarball is none.
    #[error("the tarball {} cannot be used: {source}", path.display())]
    Tarball {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The user's container image cannot be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// There is nothing to compile it in.
    #[error(transparent)]
    Toolchain(#[from] ToolchainError),
    /// It is not compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its root filesystem is not put together.
    #[error(transparent)]
    Rootfs(#[from] RootfsError),
    /// Its root filesystem cannot be looked through.
    #[error(transparent)]
    Tree(#[from] io::Error),
    /// It holds no program of its tool.
    #[error("it holds {}", match tool {
        Tool::Iptables => "neither xtables-nft-multi nor xtables-legacy-multi (iptables 1.8.0 and later have them)",
        Tool::Nft => "no nft",
    })]
    Empty {
        /// The tool that it was to hold.
        tool: Tool,
    },
    /// It does not say its version.
    #[error(transparent)]
    Banner(#[from] BannerError),
    /// The engine does not take it.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotMade {
    /// Whether it will be so the next time.
    fn lasts(&self) -> bool {
        matches!(self, NotMade::Compile(CompileError::Source { .. }))
    }
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
                Err(error) => missing.extend(all_missing(image, &error.to_string())),
            }
        }
        builds.sort_by(|a, b| order(&a.build).cmp(&order(&b.build)));
        Provision { builds, missing }
    }

    async fn image(&self, image: &Image) -> Result<Ready, NotMade> {
        let material = material_of(self.request, image, Pull::WhenAbsent).await?;
        let set = |set: &SetOf| self.gathered.set(set).cloned();
        let key = key_of(self.request, (image, &material), set)?;
        if let Some(ready) = self.built(image, &key).await? {
            return Ok(ready);
        }
        if self.request.effort == Effort::Usual
            && let Some(miss) = self.request.store.miss(&miss_key(&key))
        {
            return Err(miss.into());
        }
        let name = image.name.clone();
        let about = match image.is_compiled() {
            true => Step::Compile { image: name },
            false => Step::Assemble { image: name },
        };
        let _held = lock(self.request.store, key.as_str(), self.events, about).await?;
        // Another run may have made it while this one waited.
        if let Some(ready) = self.built(image, &key).await? {
            return Ok(ready);
        }
        let _place = self.places.acquire().await;
        let made = self.make(image, material, &key).await;
        if let Err(error) = made.as_ref()
            && error.lasts()
        {
            let store = self.request.store;
            store.keep_miss(&miss_key(&key), &error.to_string())?;
        }
        made
    }

    /// The image from the store, unless everything is to be built anew; where it cannot be run yet, that is made so.
    async fn built(&self, image: &Image, key: &Digest) -> Result<Option<Ready>, NotMade> {
        let found = self.request.store.build(key);
        let Some((record, rootfs)) = found.filter(|_| self.request.effort != Effort::Rebuild)
        else {
            return Ok(None);
        };
        let name = image.name_of(&record.version);
        let root = RootId::Build {
            name: name.clone(),
            digest: record.digest.clone(),
        };
        self.have(&root, &name, &rootfs).await?;
        Ok(Some(Ready {
            name,
            record,
            rootfs,
            root,
        }))
    }

    /// Makes a root filesystem, which `tar` holds, where it is not there yet.
    async fn have(&self, root: &RootId, name: &str, tar: &Path) -> Result<(), RootsError> {
        if self.roots.has(root).await? {
            return Ok(());
        }
        let about = self.roots.step(name.to_owned());
        step(self.events, about, self.roots.make(root, tar)).await
    }

    async fn make(
        &self,
        image: &Image,
        material: Material,
        key: &Digest,
    ) -> Result<Ready, NotMade> {
        let (tree, packages) = self.root_filesystem(image, material).await?;
        let about = Step::Assemble {
            image: image.name.clone(),
        };
        step(self.events, about, self.finish(image, tree, packages, key)).await
    }

    /// Writes a root filesystem down, asks it for its banners, and makes it a build.
    async fn finish(
        &self,
        image: &Image,
        mut tree: Tree,
        packages: Contents,
        key: &Digest,
    ) -> Result<Ready, NotMade> {
        let base = self.gathered.set(&SetOf::base(self.request))?.clone();
        let (store, files) = (
            self.request.store.clone(),
            self.request.catalog.base.clone(),
        );
        let (tool, without) = (image.tool, image.without.clone());
        let write = move || -> Result<_, NotMade> {
            rootfs::add_base(&mut tree, &store, &base, &files)?;
            for left_out in without {
                if !tree.take_out(|path| left_out.is(path)) {
                    return Err(NotMade::HasNot(left_out));
                }
            }
            let backends = rootfs::find_backends(&mut tree, tool)?;
            let draft = store.draft(&tree)?;
            fault::step();
            Ok((backends, draft))
        };
        let (backends, draft) = blocking(write).await?;
        if backends.is_empty() {
            return Err(NotMade::Empty { tool });
        }
        let known = packages.version.clone().or_else(|| image.version.clone());
        let name = match &packages.version {
            Some(version) => image.name_of(version),
            None => image.name.clone(),
        };
        let root = RootId::Build {
            name: name.clone(),
            digest: draft.digest.clone(),
        };
        self.have(&root, &name, &draft.rootfs).await?;
        let banners = banner::ask(self.roots, &root, &backends).await;
        if banners.is_err() {
            // It is of no use, and must not be found by a later run.
            self.roots.remove(&root).await?;
        }
        let banners = banners?;
        let said = banners.values().find_map(|text| banner::version_in(text));
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
        let keep = move || {
            fault::step();
            store.keep_build(draft, &kept)
        };
        let rootfs = blocking(keep).await?;
        Ok(Ready {
            name,
            record,
            rootfs,
            root,
        })
    }

    async fn root_filesystem(
        &self,
        image: &Image,
        material: Material,
    ) -> Result<(Tree, Contents), NotMade> {
        match material {
            Material::Suite(set) => {
                let set = self.gathered.set(&set)?.clone();
                let contents = Contents::of_packages(&set, image.tool);
                let store = self.request.store.clone();
                let unpack = move || rootfs::from_packages(&store, &set);
                Ok((blocking(unpack).await?, contents))
            }
            Material::Debs { set, files } => {
                let set = self.gathered.set(&set)?.clone();
                let mut contents = Contents::of_packages(&set, image.tool);
                // Which it is of the user's own packages, they say themselves.
                contents.version = None;
                let store = self.request.store.clone();
                let unpack = move || -> Result<Tree, NotMade> {
                    let mut tree = rootfs::from_packages(&store, &set)?;
                    for (path, _) in files {
                        let read = archive::read_deb(&mut tree, &path);
                        read.map_err(|source| NotMade::Package { path, source })?;
                    }
                    Ok(tree)
                };
                Ok((blocking(unpack).await?, contents))
            }
            Material::Rootfs { tree, .. } => Ok((tree, Contents::default())),
            Material::Container { reference, .. } => {
                let ProvideRequest {
                    docker,
                    store,
                    labels,
                    ..
                } = self.request;
                let tree = container::root_filesystem(*docker, store, labels, &reference);
                Ok((tree.await?, Contents::default()))
            }
            Material::Host { tree, .. } => Ok((tree, Contents::default())),
            Material::Compiled(sources) => {
                let Sources { own, libnftnl, .. } = *sources;
                let own = self.source_tree(own).await?;
                let libnftnl = match libnftnl {
                    Some(libnftnl) => Some(self.source_tree(libnftnl).await?),
                    None => None,
                };
                self.compile(image, own, libnftnl).await
            }
        }
    }

    async fn source_tree(&self, sources: SourceCode) -> Result<Tree, NotMade> {
        match sources {
            SourceCode::Release(release) => self.unpacked(self.gathered.tarball(&release)?).await,
            SourceCode::Tarball { path, .. } => self.unpacked(path).await,
            SourceCode::Tree { tree, .. } => Ok(tree),
        }
    }

    /// A tarball's source tree.
    async fn unpacked(&self, path: PathBuf) -> Result<Tree, NotMade> {
        let tmp = self.request.store.tmp();
        let unpack = move || {
            let read = || {
                let mut tree = Tree::new(Kind::Source, &tmp)?.holding(LARGEST);
                archive::read_tar(&mut tree, std::fs::File::open(&path)?)?;
                tree.strip_top();
                Ok(tree)
            };
            read().map_err(|source| NotMade::Tarball {
                path: path.clone(),
                source,
            })
        };
        blocking(unpack).await
    }

    async fn compile(
        &self,
        image: &Image,
        own: Tree,
        libnftnl: Option<Tree>,
    ) -> Result<(Tree, Contents), NotMade> {
        let make = || toolchain::provide(self.request, &self.gathered, self.roots, self.events);
        let toolchain = self.toolchain.get_or_try_init(make).await?;
        let version = image.version.clone().or_else(|| compile::version_of(&own));
        let catalog = self.request.catalog;
        let recipe = version.map(|version| catalog.recipe(image.tool, &version));
        let linked_with = libnftnl.as_ref().and_then(compile::version_of);
        let about = Step::Compile {
            image: image.name.clone(),
        };
        let compilation = Compilation {
            roots: self.roots,
            store: self.request.store,
            name: &image.name,
            toolchain,
            tool: image.tool,
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
        let compiled = compilation.run(own, libnftnl, &mut lines);
        let compiled = step(self.events, about.clone(), compiled).await?;
        let set = self.gathered.set(&SetOf::toolchain(self.request))?;
        let mut contents = Contents::of_toolchain(set, &catalog.toolchain.libnftnl);
        if let Some(version) = linked_with {
            contents.libnftnl = Some(version.as_str().to_owned());
        }
        match image.tool {
            Tool::Iptables => Ok((compiled, contents)),
            Tool::Nft => {
                let under = self.gathered.set(&SetOf::under_nft(self.request))?.clone();
                contents.packages.extend(under.packages.iter().cloned());
                let store = self.request.store.clone();
                let laid = move || -> Result<Tree, NotMade> {
                    let mut tree = rootfs::from_packages(&store, &under)?;
                    tree.add_tree(&compiled)?;
                    Ok(tree)
                };
                Ok((blocking(laid).await?, contents))
            }
        }
    }
}

/// What a record says of a root filesystem's contents.
#[derive(Default)]
struct Contents {
    version: Option<Version>,
    libnftnl: Option<String>,
    packages: Vec<Package>,
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
            root: ready.root.clone(),
            rootfs: ready.rootfs.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn not_compiled() -> NotMade {
        let error = CompileError::Source {
            command: vec!["/bin/sh".to_owned()],
            status: 2,
            said: "no x".to_owned(),
            log: "own.log".into(),
        };
        error.into()
    }

    #[rstest]
    #[case::sources_do_not_compile(not_compiled(), true)]
    #[case::docker_may_come_back(NotMade::Container(ContainerError::NoDaemon), false)]
    #[case::programs_may_be_added(NotMade::Empty { tool: Tool::Nft }, false)]
    fn only_what_will_fail_again_is_remembered(#[case] error: NotMade, #[case] lasts: bool) {
        assert_eq!(error.lasts(), lasts);
    }

    #[test]
    fn a_reason_has_the_error_that_it_comes_from() {
        let source = std::error::Error::source;
        let gone = io::Error::from(io::ErrorKind::NotFound);
        let error = NotMade::Tarball {
            path: "/tmp/a.tar".into(),
            source: gone,
        };
        assert!(source(&error).is_some_and(|of| of.is::<io::Error>()));
    }
}
