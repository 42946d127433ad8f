//! Catalog files: the lab's own, which is part of the binary, and the user's, in the same format.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use toml::Spanned;

use super::{
    Backend, Base, Catalog, CompileNeed, DebianSource, Digest, Image, LeftOut, Libnftnl, Origin,
    Release, Source, Tool, Toolchain, UnderNft, Variant, Version, debian_name, is_name_character,
};

const EMBEDDED: &str = include_str!("../../../images/builds.toml");
const EMBEDDED_NAME: &str = "images/builds.toml";

impl Catalog {
    /// The lab's own catalog and the user's files, in this order.
    ///
    /// A user's build with the name of an upstream release takes that release's place, with origin `own`: so one gives
    /// a git tag's tree for a release whose tarball cannot be had.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, a build with no or several sources, a name that is taken or has other
    /// characters than `[A-Za-z0-9._-]`.
    pub fn load(own: &[PathBuf]) -> Result<Catalog, CatalogError> {
        let mut catalog = Catalog::embedded()?;
        let mut taken = BTreeMap::new();
        for path in own {
            let text = std::fs::read_to_string(path).map_err(|source| CatalogError::Read {
                path: path.clone(),
                source,
            })?;
            let place = Place::new(&path.display().to_string(), &text);
            let folder = path.parent().unwrap_or(Path::new("."));
            catalog.add_own(&place, folder, &mut taken)?;
        }
        Ok(catalog)
    }

    fn embedded() -> Result<Catalog, CatalogError> {
        let place = Place::new(EMBEDDED_NAME, EMBEDDED);
        let file: LabFile = place.parse()?;
        let libraries = file.libnftnl.into_iter();
        let libraries: BTreeMap<String, Release> = libraries
            .map(|entry| entry.into_release(&file.upstream.libnftnl))
            .collect();
        let mut images = file
            .release
            .into_iter()
            .map(|entry| entry.into_image(Some(&file.upstream), &libraries, &place))
            .collect::<Result<Vec<_>, _>>()?;
        images.sort_by(|a, b| (a.tool, &a.version).cmp(&(b.tool, &b.version)));
        images.extend(file.debian.into_iter().map(SuiteEntry::into_image));
        Ok(Catalog {
            images,
            toolchain: file.toolchain,
            base: file.base,
            under_nft: file.under_nft,
            compile: file.compile,
        })
    }

    fn add_own(
        &mut self,
        place: &Place,
        folder: &Path,
        taken: &mut BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        let file: OwnFile = place.parse()?;
        let builds = file.build.into_iter().map(|entry| {
            let span = entry.get_ref().name.span();
            let whole = entry.span();
            let image = entry.into_inner().into_image(whole, folder, place)?;
            Ok((image, span))
        });
        let releases = file.release.into_iter().map(|entry| {
            let span = entry.version.span();
            Ok((entry.into_image(None, &BTreeMap::new(), place)?, span))
        });
        let suites = file.debian.into_iter().map(|entry| {
            let span = entry.suite.span();
            Ok((entry.into_image(), span))
        });
        for added in builds.chain(releases).chain(suites) {
            let (image, span) = added?;
            if let Some(first) = taken.insert(image.name.clone(), place.name.clone()) {
                let message = format!("`{}` is already the name of a build in {first}", image.name);
                return Err(place.error(span, message, "give it another name"));
            }
            self.put(image, span, place)?;
        }
        Ok(())
    }

    fn put(&mut self, image: Image, span: Range<usize>, place: &Place) -> Result<(), CatalogError> {
        let known = self
            .images
            .iter()
            .position(|other| other.name == image.name);
        match known.map(|at| (at, self.images[at].origin, image.origin)) {
            None => {}
            Some((at, Origin::Upstream, Origin::Own)) => drop(self.images.remove(at)),
            Some(_) => {
                let message = format!("the lab's own catalog has a build `{}`", image.name);
                let help = "give it another name; only an upstream release can be replaced, by a [[build]] of its name";
                return Err(place.error(span, message, help));
            }
        }
        self.images.push(image);
        Ok(())
    }
}

/// Why a catalog file cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum CatalogError {
    /// It cannot be read.
    #[error("cannot read the builds file {}: {source}", path.display())]
    #[diagnostic(help("`--builds` takes a TOML file with one [[build]] a build"))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Something in it is wrong, at a place.
    #[error("{message}")]
    Entry {
        /// What is wrong.
        message: String,
        /// What to do.
        #[help]
        help: Option<String>,
        /// The file's text.
        #[source_code]
        text: Arc<NamedSource<String>>,
        /// Where in the file.
        #[label("here")]
        at: SourceSpan,
    },
}

/// A file's text, to point into.
struct Place {
    name: String,
    text: String,
}

impl Place {
    fn new(name: &str, text: &str) -> Self {
        Place {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, CatalogError> {
        toml::from_str(&self.text).map_err(|error| CatalogError::Entry {
            message: error.message().to_owned(),
            help: None,
            text: self.source(),
            at: error.span().unwrap_or(0..0).into(),
        })
    }

    fn error(&self, at: Range<usize>, message: String, help: &str) -> CatalogError {
        CatalogError::Entry {
            message,
            help: Some(help.to_owned()),
            text: self.source(),
            at: at.into(),
        }
    }

    fn source(&self) -> Arc<NamedSource<String>> {
        Arc::new(NamedSource::new(&self.name, self.text.clone()).with_language("TOML"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LabFile {
    upstream: Upstream,
    release: Vec<ReleaseEntry>,
    libnftnl: Vec<LibraryEntry>,
    debian: Vec<SuiteEntry>,
    toolchain: Toolchain,
    base: Base,
    under_nft: UnderNft,
    compile: Vec<CompileNeed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnFile {
    #[serde(default)]
    build: Vec<Spanned<OwnEntry>>,
    #[serde(default)]
    release: Vec<ReleaseEntry>,
    #[serde(default)]
    debian: Vec<SuiteEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Upstream {
    iptables: String,
    nft: String,
    libnftnl: String,
}

impl Upstream {
    fn of(&self, tool: Tool) -> &str {
        match tool {
            Tool::Iptables => &self.iptables,
            Tool::Nft => &self.nft,
        }
    }
}

/// A release of libnftnl, which releases of nft name by its version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LibraryEntry {
    version: String,
    date: toml::value::Datetime,
    archive: String,
    sha256: Digest,
}

impl LibraryEntry {
    fn into_release(self, folder: &str) -> (String, Release) {
        let release = Release {
            date: self.date.to_string(),
            url: format!("{folder}/{}", self.archive),
            archive: self.archive,
            sha256: self.sha256,
            debian_source: None,
        };
        (self.version, release)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReleaseEntry {
    version: Spanned<Version>,
    #[serde(default)]
    tool: Tool,
    libnftnl: Option<Spanned<String>>,
    date: toml::value::Datetime,
    archive: String,
    sha256: Digest,
    url: Option<String>,
    debian_source: Option<DebianSource>,
}

impl ReleaseEntry {
    /// `libraries`: the releases of libnftnl by version.
    fn into_image(
        self,
        upstream: Option<&Upstream>,
        libraries: &BTreeMap<String, Release>,
        place: &Place,
    ) -> Result<Image, CatalogError> {
        check_name(self.version.get_ref().as_str(), self.version.span(), place)?;
        let libnftnl = self.libnftnl.map(|named| {
            let known = libraries.get(named.get_ref()).cloned();
            let unknown = || {
                let message = format!("no [[libnftnl]] has version `{}`", named.get_ref());
                place.error(named.span(), message, "add its tarball")
            };
            known.map(Libnftnl::Release).ok_or_else(unknown)
        });
        let folder = upstream.map(|upstream| upstream.of(self.tool));
        let beside = folder.map(|folder| format!("{folder}/{}", self.archive));
        let Some(url) = self.url.or(beside) else {
            let message = "a [[release]] needs the `url` of its tarball".to_owned();
            let help = "add `url = \"https://…\"`";
            return Err(place.error(self.version.span(), message, help));
        };
        let version = self.version.into_inner();
        Ok(Image {
            name: match self.tool {
                Tool::Iptables => version.as_str().to_owned(),
                Tool::Nft => format!("nft-{version}"),
            },
            version: Some(version),
            origin: Origin::Upstream,
            tool: self.tool,
            backends: backends_of(self.tool),
            variant: None,
            without: Vec::new(),
            libnftnl: libnftnl.transpose()?,
            source: Source::Release(Release {
                date: self.date.to_string(),
                archive: self.archive,
                url,
                sha256: self.sha256,
                debian_source: self.debian_source,
            }),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteEntry {
    suite: Spanned<String>,
    version: Option<Version>,
    #[serde(default)]
    tool: Tool,
    variant: Option<SuiteVariant>,
    #[serde(default)]
    without: Vec<LeftOut>,
}

/// What a package comes without.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SuiteVariant {
    /// An nft without the iptables of its suite.
    NoXtables,
}

impl SuiteEntry {
    fn into_image(self) -> Image {
        let suite = self.suite.into_inner();
        let known = self.version.as_ref();
        let variant = match self.variant {
            Some(SuiteVariant::NoXtables) => Some(Variant::no_xtables()),
            None if self.without.is_empty() => None,
            None => Some(Variant::without(&self.without)),
        };
        Image {
            name: debian_name(
                self.tool,
                known.map_or(&suite, Version::as_str),
                variant.as_ref(),
            ),
            version: self.version,
            origin: Origin::Debian,
            tool: self.tool,
            backends: backends_of(self.tool),
            variant,
            without: self.without,
            source: Source::Suite { suite },
            libnftnl: None,
        }
    }
}

/// One file, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<PathBuf> {
        match self {
            OneOrMore::One(file) => vec![file],
            OneOrMore::More(files) => files,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnEntry {
    name: Spanned<String>,
    #[serde(default)]
    tool: Tool,
    libnftnl: Option<Spanned<PathBuf>>,
    #[serde(default)]
    without: Vec<LeftOut>,
    deb: Option<Spanned<OneOrMore>>,
    suite: Option<String>,
    rootfs: Option<PathBuf>,
    tarball: Option<PathBuf>,
    sha256: Option<Digest>,
    tree: Option<PathBuf>,
    image: Option<String>,
    host: Option<bool>,
    version: Option<Version>,
    backends: Option<Vec<Backend>>,
}

impl OwnEntry {
    fn into_image(
        self,
        whole: Range<usize>,
        folder: &Path,
        place: &Place,
    ) -> Result<Image, CatalogError> {
        check_name(self.name.get_ref(), self.name.span(), place)?;
        let span = self.name.span();
        if self.sha256.is_some() && self.tarball.is_none() {
            let message = "`sha256` is the digest of a `tarball`, and there is none".to_owned();
            return Err(place.error(whole, message, "remove it, or name the tarball"));
        }
        let sha256 = self.sha256;
        let tarball = self.tarball.map(|path| Source::Tarball {
            path: folder.join(path),
            sha256,
        });
        let tree = self.tree.map(|path| Source::Tree {
            path: folder.join(path),
        });
        let container = self.image.map(|reference| Source::Container { reference });
        let host = self.host.filter(|host| *host).map(|_| Source::Host);
        let rootfs = self.rootfs.map(|path| Source::Rootfs {
            path: folder.join(path),
        });
        let debs = match (self.deb, self.suite) {
            (Some(debs), Some(suite)) => {
                let files = debs.into_inner().into_vec().into_iter();
                let files = files.map(|path| folder.join(path)).collect();
                Some(Source::Debs { files, suite })
            }
            (Some(debs), None) => {
                let message = "a `deb` needs the `suite` that it is for".to_owned();
                let help = "add `suite = \"sid\"`: what it depends on comes from there";
                return Err(place.error(debs.span(), message, help));
            }
            (None, Some(_)) => {
                let message = "`suite` says where what a `deb` depends on comes from".to_owned();
                return Err(place.error(whole, message, "name the `deb`, or remove it"));
            }
            (None, None) => None,
        };
        let given = [tarball, tree, debs, rootfs, container, host];
        let mut given = given.into_iter().flatten();
        let (Some(source), None) = (given.next(), given.next()) else {
            let message = format!(
                "the build `{}` must say exactly one thing that it is made from",
                self.name.get_ref()
            );
            let help = "give one of `tarball = PATH`, `tree = PATH`, `deb = PATH`, `rootfs = PATH`, `image = REFERENCE`, `host = true`";
            return Err(place.error(whole, message, help));
        };
        // Its ids have no backend, and would be taken for another build's.
        let name = self.name.get_ref();
        let is_told = |backend: &Backend| name.ends_with(&format!("-{backend}"));
        if self.tool == Tool::Nft && Backend::ALL.iter().any(is_told) {
            let message = format!("`{name}` cannot be the name of an nft");
            return Err(place.error(
                span,
                message,
                "let it end otherwise than in a backend's name",
            ));
        }
        if self.tool == Tool::Nft && source == Source::Host {
            let message = "`host = true` copies an iptables, and no nft".to_owned();
            return Err(place.error(whole, message, "give a `rootfs` that holds the nft"));
        }
        let libnftnl = match self.libnftnl {
            Some(named) if self.tool != Tool::Nft => {
                let message = "`libnftnl` is what an nft is linked with".to_owned();
                return Err(place.error(
                    named.span(),
                    message,
                    "add `tool = \"nft\"`, or remove it",
                ));
            }
            named => named.map(|named| Libnftnl::Tree {
                path: folder.join(named.into_inner()),
            }),
        };
        let mut backends = self.backends.unwrap_or_else(|| backends_of(self.tool));
        backends.sort();
        backends.dedup();
        if backends.is_empty() {
            let message = format!("the build `{}` has no backends", self.name.get_ref());
            return Err(place.error(span, message, "give `nft`, `legacy` or both"));
        }
        Ok(Image {
            name: self.name.into_inner(),
            version: self.version,
            origin: Origin::Own,
            tool: self.tool,
            backends,
            variant: match self.without.is_empty() {
                true => None,
                false => Some(Variant::without(&self.without)),
            },
            without: self.without,
            source,
            libnftnl,
        })
    }
}

/// Which backends a tool's programs speak to.
fn backends_of(tool: Tool) -> Vec<Backend> {
    match tool {
        Tool::Iptables => Backend::ALL.to_vec(),
        Tool::Nft => vec![Backend::Nft],
    }
}

fn check_name(name: &str, span: Range<usize>, place: &Place) -> Result<(), CatalogError> {
    if !name.is_empty() && name.chars().all(is_name_character) {
        return Ok(());
    }
    let message = format!("`{name}` cannot be the name of a build");
    Err(place.error(span, message, "use letters, digits, `.`, `_` and `-`"))
}
