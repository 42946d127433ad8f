//! What a build is, and the words that name it: backend, family, version, id, digest, origin.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which kernel interface an iptables binary speaks.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// `xtables-nft-multi`: nf_tables over netlink.
    Nft,
    /// `xtables-legacy-multi`: the xtables socket options.
    Legacy,
}

impl Backend {
    /// Both backends, in the order in which every listing shows them.
    pub const ALL: [Backend; 2] = [Backend::Nft, Backend::Legacy];

    /// The word that ids, commands and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Nft => "nft",
            Backend::Legacy => "legacy",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which program a build is: what language it is spoken to in.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// iptables and ip6tables: rules as `iptables-save` has them.
    #[default]
    Iptables,
    /// nft: nf_tables' own language.
    Nft,
}

impl Tool {
    /// All of them.
    pub const ALL: [Tool; 2] = [Tool::Iptables, Tool::Nft];

    /// The word that catalogs and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Tool::Iptables => "iptables",
            Tool::Nft => "nft",
        }
    }

    /// The Debian package that holds it.
    pub fn package(self) -> &'static str {
        match self {
            Tool::Iptables => "iptables",
            Tool::Nft => "nftables",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// IPv4 (`iptables`) or IPv6 (`ip6tables`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// `iptables`.
    Ipv4,
    /// `ip6tables`.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: std::net::IpAddr) -> Self {
        match address {
            std::net::IpAddr::V4(_) => Family::Ipv4,
            std::net::IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The word that scenario files and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A version as its origin writes it: `1.8.8`, or a package's `1.8.7-1`, revision and all.
///
/// Ordered as versions, not as text: `1.8.9` comes before `1.8.10`, and a release before its packages.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// Takes the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Version(text.into())
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The upstream release, without a package's revision: `1.8.7` of `1.8.7-1`.
    pub fn release(&self) -> &str {
        self.0
            .split_once('-')
            .map_or(&self.0, |(release, _)| release)
    }

    fn key(&self) -> (Vec<u64>, &str) {
        let numbers = self
            .release()
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|part| part.parse().ok())
            .collect();
        (numbers, &self.0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The name of a build everywhere: `1.8.8-nft`, `debian-1.8.7-1-legacy`, `debian-nft-1.1.3-1`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct BuildId(String);

impl BuildId {
    /// The id of one backend of the image called `image`.
    pub fn new(image: &str, backend: Backend) -> Self {
        BuildId(format!("{image}-{backend}"))
    }

    /// The id of what the image called `image` holds of `tool`. nft has one backend, which its id does not repeat.
    pub fn of_tool(tool: Tool, image: &str, backend: Backend) -> Self {
        match tool {
            Tool::Iptables => BuildId::new(image, backend),
            Tool::Nft => BuildId(image.to_owned()),
        }
    }

    /// The id that somebody typed. There need not be such a build.
    pub fn named(id: &str) -> Self {
        BuildId(id.to_owned())
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id without what says of which tool and backend it is: `1.8.8`, `debian-1.8.7-1`, `debian-1.0.6-2` of nft.
    pub fn stem(&self, tool: Tool, backend: Backend) -> String {
        match tool {
            Tool::Iptables => {
                let stem = self.0.strip_suffix(backend.as_str());
                let stem = stem.and_then(|stem| stem.strip_suffix('-'));
                stem.unwrap_or(&self.0).to_owned()
            }
            Tool::Nft => self.0.replacen("nft-", "", 1),
        }
    }

    /// The build of the same image that is of `backend`, given that this one is of `own`.
    pub fn sibling(&self, own: Backend, backend: Backend) -> BuildId {
        let image = self.0.strip_suffix(own.as_str());
        let image = image.map_or(self.0.as_str(), |image| image.trim_end_matches('-'));
        BuildId::new(image, backend)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The digest of content: sha256, as 64 lowercase hexadecimal digits.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Digest(String);

impl Digest {
    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, as listings show them.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain =
            text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if plain {
            Ok(Digest(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not a sha256 digest (64 lowercase hexadecimal digits)"
            ))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a build is without, and its like has: slim images are so. It is the word that stands behind the dot in ids: `no-xtables`,
/// `no-u32`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Variant(String);

impl Variant {
    /// An nft without the extensions of xtables beside it, as no host with an iptables has it, and many an image.
    pub fn no_xtables() -> Self {
        Variant("no-xtables".to_owned())
    }

    /// What is without these.
    pub(super) fn without(left_out: &[LeftOut]) -> Self {
        let names: Vec<String> = left_out.iter().map(LeftOut::name).collect();
        Variant(format!("no-{}", names.join("-")))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A file, or an extension's files, that a build is without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum LeftOut {
    /// The files of an extension of xtables, by its name: `u32`.
    Extension(String),
    /// A file, by its path: `/etc/protocols`.
    File(PathBuf),
}

impl LeftOut {
    /// What it is called in ids.
    fn name(&self) -> String {
        match self {
            LeftOut::Extension(name) => name.clone(),
            LeftOut::File(path) => {
                let names = path.iter().map(|name| name.to_string_lossy());
                let names = names.filter(|name| name != "/");
                names.collect::<Vec<_>>().join("-")
            }
        }
    }

    /// Whether it is the file at `path`, from the root.
    pub fn is(&self, path: &Path) -> bool {
        match self {
            LeftOut::File(file) => file.strip_prefix("/").unwrap_or(file) == path,
            LeftOut::Extension(extension) => {
                let is_among = path.parent().is_some_and(|of| of.ends_with("xtables"));
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let of = |family: &str| name == format!("lib{family}_{extension}.so");
                is_among && ["xt", "ipt", "ip6t"].into_iter().any(of)
            }
        }
    }
}

impl From<String> for LeftOut {
    fn from(named: String) -> Self {
        match named.starts_with('/') {
            true => LeftOut::File(named.into()),
            false => LeftOut::Extension(named),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeftOut::Extension(name) => write!(f, "the extension `{name}`"),
            LeftOut::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Who made a build. Upstream's faults are not always in a package of the same version, and the other way round.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Compiled by the lab from the netfilter project's release tarball.
    Upstream,
    /// Debian's package, as people run it.
    Debian,
    /// Given by the user in a `--builds` file.
    Own,
}

impl Origin {
    /// The word that listings and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Upstream => "upstream",
            Origin::Debian => "debian",
            Origin::Own => "own",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A build that is ready to run: one thing that can write or read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Its name everywhere.
    pub id: BuildId,
    /// Exact version; a package's carries its revision.
    pub version: Version,
    /// Which program it is.
    #[serde(default)]
    pub tool: Tool,
    /// Which kernel interface it speaks.
    pub backend: Backend,
    /// What it is without; none of one that has all.
    #[serde(default)]
    pub variant: Option<Variant>,
    /// Who made it.
    pub origin: Origin,
    /// What it was made from: tarball, recipe, toolchain's package list, architecture. Same key, same digest.
    pub key: Digest,
    /// The digest of its normalised root filesystem.
    pub digest: Digest,
    /// The libnftnl it is linked with, where known.
    #[serde(default)]
    pub libnftnl: Option<String>,
    /// What its `--version` prints, without the line's end.
    pub banner: String,
}

/// A build that cannot be had, and why. It is reported, it never vanishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// The build's id.
    pub id: BuildId,
    /// One sentence.
    pub reason: String,
}
