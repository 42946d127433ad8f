//! The builds that exist: which iptables the lab can run, where each comes from, and how it is named.

mod build;
mod file;
pub mod names;

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

pub use build::{
    Backend, Build, BuildId, Digest, Family, LeftOut, Missing, Origin, Tool, Variant, Version,
};
pub use file::CatalogError;
pub use names::{REPOSITORIES, name_in_docker, repository};

/// Everything that the lab could build: one entry an image, and how images are made.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Upstream releases by version, then Debian's suites as listed, then the user's own as listed.
    pub images: Vec<Image>,
    /// Where releases are compiled.
    pub toolchain: Toolchain,
    /// The files that every image gets alike.
    pub base: Base,
    /// What an nft that is compiled here stands on.
    pub under_nft: UnderNft,
    /// What ranges of versions need of the compiler.
    pub compile: Vec<CompileNeed>,
}

/// One entry of the catalog: what holds the backends of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The stem of its builds' ids: `1.8.8`, `debian-1.8.7-1`, `debian-nft-1.1.3-1`, or the user's own name.
    pub name: String,
    /// The version where it is known beforehand.
    pub version: Option<Version>,
    /// Who made it.
    pub origin: Origin,
    /// Which program it holds.
    pub tool: Tool,
    /// Which backends it is expected to hold.
    pub backends: Vec<Backend>,
    /// What it is without, in a word.
    pub variant: Option<Variant>,
    /// What is taken out of it.
    pub without: Vec<LeftOut>,
    /// What it is made from.
    pub source: Source,
    /// Of an nft that is compiled: the libnftnl that it is linked with, where that is not the toolchain's.
    pub libnftnl: Option<Libnftnl>,
}

impl Image {
    /// Whether its builds run where nobody says who shall. A release of nft takes a minute to compile, and there are two dozen; what
    /// something was taken out of is of use to who looks for just that.
    pub fn is_unasked(&self) -> bool {
        let is_release_of_nft = self.tool == Tool::Nft && self.origin == Origin::Upstream;
        let is_curtailed = !self.without.is_empty() && self.origin != Origin::Own;
        !is_release_of_nft && !is_curtailed
    }

    /// Whether it is compiled here.
    pub fn is_compiled(&self) -> bool {
        matches!(
            self.source,
            Source::Release(_) | Source::Tarball { .. } | Source::Tree { .. }
        )
    }

    /// The release tarballs that it is compiled from.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        let source = match &self.source {
            Source::Release(release) => Some(release),
            _ => None,
        };
        let libnftnl = match &self.libnftnl {
            Some(Libnftnl::Release(release)) => Some(release),
            _ => None,
        };
        source.into_iter().chain(libnftnl)
    }

    /// The ids of its builds, one a backend.
    pub fn ids(&self) -> Vec<BuildId> {
        self.ids_of(&self.name)
    }

    /// The ids of its builds once it is called so.
    pub fn ids_of(&self, name: &str) -> Vec<BuildId> {
        let id = |&backend| BuildId::of_tool(self.tool, name, backend);
        self.backends.iter().map(id).collect()
    }

    /// Its name when its version is known: a package's image is named after the version that was really found.
    pub fn name_of(&self, version: &Version) -> String {
        match self.origin {
            Origin::Debian => debian_name(self.tool, version.as_str(), self.variant.as_ref()),
            Origin::Upstream | Origin::Own => self.name.clone(),
        }
    }
}

/// What an image is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A release tarball, looked for by its digest.
    Release(Release),
    /// Packages of a Debian suite.
    Suite {
        /// The suite's code name.
        suite: String,
    },
    /// The user's own tarball.
    Tarball {
        /// Where it lies.
        path: PathBuf,
        /// What it must be, where the user said so.
        sha256: Option<Digest>,
    },
    /// The user's own source tree.
    Tree {
        /// Its top directory.
        path: PathBuf,
    },
    /// The user's own packages, upon those of a Debian suite.
    Debs {
        /// Where they lie.
        files: Vec<PathBuf>,
        /// The suite's code name.
        suite: String,
    },
    /// The user's own root filesystem.
    Rootfs {
        /// Its top directory, or a tar of it.
        path: PathBuf,
    },
    /// A container image that holds iptables.
    Container {
        /// As `docker pull` would take it.
        reference: String,
    },
    /// The host's own binaries.
    Host,
}

/// A libnftnl that an nft is linked with: each release of nft demands its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Libnftnl {
    /// A release tarball, looked for by its digest.
    Release(Release),
    /// The user's own source tree.
    Tree {
        /// Its top directory.
        path: PathBuf,
    },
}

/// An upstream release's tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The date of the release's commit.
    pub date: String,
    /// The tarball's file name.
    pub archive: String,
    /// Where upstream publishes it.
    pub url: String,
    /// What it must be.
    pub sha256: Digest,
    /// The Debian source package whose `.orig.tar` is the same file.
    pub debian_source: Option<DebianSource>,
}

/// A version of Debian's source package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianSource {
    /// The suite that has it.
    pub suite: String,
    /// Its version; the suite's newest where absent.
    pub version: Option<Version>,
}

/// The toolchain: which packages of which suite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// The suite's code name.
    pub suite: String,
    /// What is asked for; apt adds what these depend on.
    pub packages: Vec<String>,
    /// The package whose version says which libnftnl gets linked in.
    pub libnftnl: String,
    /// Links that maintainer scripts would have made.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// A symbolic link in the toolchain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where it lies, from the root.
    pub path: String,
    /// What it says.
    pub target: String,
}

/// Where the files come from that every image gets alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// The suite's code name.
    pub suite: String,
    /// The packages that hold them.
    pub packages: Vec<String>,
    /// Which files, from the root.
    pub files: Vec<String>,
}

/// What an nft that is compiled here stands on: an iptables of a suite, whose extensions it uses, and the libraries that it loads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnderNft {
    /// The suite's code name.
    pub suite: String,
    /// What is asked for; apt adds what these depend on.
    pub packages: Vec<String>,
}

/// What a range of versions needs of the compiler.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompileNeed {
    /// Of which tool.
    #[serde(default)]
    pub tool: Tool,
    /// The first release that needs it.
    pub first: Version,
    /// The last release that needs it.
    pub last: Version,
    /// What is added to `CFLAGS`.
    #[serde(default)]
    pub cflags: String,
    /// How it is linked, where it matters.
    pub linkage: Option<Linkage>,
    /// Why.
    pub why: String,
}

/// How a build's binaries and extensions come together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linkage {
    /// All in one file: it needs nothing of its root filesystem, and starts faster.
    #[default]
    Static,
    /// Extensions are loaded when they are named, as distributions ship it.
    Shared,
}

impl Linkage {
    /// The word that the catalog and the recipe use.
    pub fn as_str(self) -> &'static str {
        match self {
            Linkage::Static => "static",
            Linkage::Shared => "shared",
        }
    }
}

impl fmt::Display for Linkage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How one version is compiled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipe {
    /// What is added to `CFLAGS`.
    pub cflags: String,
    /// How it is linked.
    pub linkage: Linkage,
}

impl Catalog {
    /// How a version of `tool` is compiled: the flags of every range it is in, and the linkage of the last that names one.
    pub fn recipe(&self, tool: Tool, version: &Version) -> Recipe {
        let release = Version::new(version.release());
        let needs: Vec<&CompileNeed> = self
            .compile
            .iter()
            .filter(|need| need.tool == tool && need.first <= release && release <= need.last)
            .collect();
        let cflags: Vec<&str> = needs
            .iter()
            .map(|need| need.cflags.as_str())
            .filter(|cflags| !cflags.is_empty())
            .collect();
        let linkage = needs.iter().rev().find_map(|need| need.linkage);
        Recipe {
            cflags: cflags.join(" "),
            linkage: linkage.unwrap_or_default(),
        }
    }
}

/// The name of the image of Debian's package: after its version, or after its suite while the version is not known.
pub fn debian_name(tool: Tool, version_or_suite: &str, variant: Option<&Variant>) -> String {
    // An epoch's colon or a tilde would not do in a name that is a file's too.
    let plain = |c: char| {
        if c == '+' || is_name_character(c) {
            c
        } else {
            '_'
        }
    };
    let text: String = version_or_suite.chars().map(plain).collect();
    let variant = variant.map(|of| format!(".{of}")).unwrap_or_default();
    match tool {
        Tool::Iptables => format!("debian-{text}{variant}"),
        Tool::Nft => format!("debian-nft-{text}{variant}"),
    }
}

/// What the name of a build may hold.
fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
