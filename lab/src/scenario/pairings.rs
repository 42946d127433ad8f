//! Which pairings a scenario is about: what a system that heeds a rule of conduct ever puts side by side.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build};

/// Which builds write and read a scenario's rules; all where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairings {
    /// Ids or globs of those that write; every build where none is named.
    pub writers: Vec<Pattern>,
    /// Ids or globs of those that read; every build where none is named.
    pub readers: Vec<Pattern>,
    /// What writer and reader have in common.
    pub same: Vec<Same>,
    /// What they do not have in common.
    pub other: Vec<Same>,
    /// Whether the reader comes after the writer: of a newer version, or of the same with another backend.
    pub upgrade: bool,
    /// How the reader finds out which backend is in use. It then takes that one of its own.
    pub detect: Option<Detection>,
}

/// A glob over build ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Pattern(glob::Pattern);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        glob::Pattern::new(&text)
            .map(Pattern)
            .map_err(|error| error.to_string())
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.0.as_str().to_owned()
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0.as_str())
    }
}

/// What writer and reader have in common, or have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Same {
    /// The backend.
    Backend,
    /// The version, whatever the origin.
    Version,
    /// Everything: it is one binary.
    Build,
}

impl Same {
    fn holds(self, writer: &Build, reader: &Build) -> bool {
        match self {
            Same::Backend => writer.backend == reader.backend,
            Same::Version => writer.version == reader.version,
            Same::Build => writer.id == reader.id,
        }
    }

    /// The word that scenario files and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Same::Backend => "backend",
            Same::Version => "version",
            Same::Build => "build",
        }
    }
}

impl Pairings {
    /// Whether such a system ever puts these two side by side.
    pub fn allow(&self, writer: &Build, reader: &Build) -> bool {
        let names = |patterns: &[Pattern], build: &Build| {
            let matches = |pattern: &Pattern| pattern.0.matches(build.id.as_str());
            patterns.is_empty() || patterns.iter().any(matches)
        };
        let follows = reader.version > writer.version
            || reader.version == writer.version && reader.backend != writer.backend;
        names(&self.writers, writer)
            && names(&self.readers, reader)
            && self.same.iter().all(|same| same.holds(writer, reader))
            && !self.other.iter().any(|same| same.holds(writer, reader))
            && (!self.upgrade || follows)
    }
}

/// How a component in a container finds out which backend the host's own iptables uses: the shell script of
/// kubernetes-sigs/iptables-wrappers in its first and second version, and the program that is its third.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Detection {
    /// The backend with more rules; legacy where there are as many, or ten.
    #[serde(rename = "wrappers-v1")]
    WrappersV1,
    /// The backend with kubelet's chains; else that with more rules, nft where there are as many.
    #[serde(rename = "wrappers-v2")]
    WrappersV2,
    /// The backend with kubelet's chains, else nft.
    #[serde(rename = "wrappers-v3")]
    WrappersV3,
}

/// What one of the reader's own two backends printed while it looked which one is in use.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Which of them.
    pub backend: Backend,
    /// Whether it was asked for the mangle table only.
    pub mangle: bool,
    /// Its standard output.
    pub stdout: &'a str,
}

impl Detection {
    /// The word that scenario files and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Detection::WrappersV1 => "wrappers-v1",
            Detection::WrappersV2 => "wrappers-v2",
            Detection::WrappersV3 => "wrappers-v3",
        }
    }

    /// What it has printed: the backend, and whether only the mangle table. Each is asked in both families.
    pub fn looks(self) -> &'static [(Backend, bool)] {
        match self {
            Detection::WrappersV1 => &[(Backend::Legacy, false), (Backend::Nft, false)],
            Detection::WrappersV2 => &[
                (Backend::Nft, true),
                (Backend::Legacy, false),
                (Backend::Nft, false),
            ],
            Detection::WrappersV3 => &[(Backend::Nft, true), (Backend::Legacy, false)],
        }
    }

    /// The backend that it picks.
    pub fn pick(self, looks: &[Look<'_>]) -> Backend {
        let rules = |backend| {
            let of = |look: &&Look<'_>| look.backend == backend && !look.mangle;
            let rules =
                |look: &Look<'_>| look.stdout.lines().filter(|l| l.starts_with('-')).count();
            looks.iter().filter(of).map(rules).sum::<usize>()
        };
        let kubelet = |backend, mangle| {
            let of = |look: &&Look<'_>| look.backend == backend && look.mangle == mangle;
            looks
                .iter()
                .filter(of)
                .any(|look| has_kubelets_chains(look.stdout))
        };
        let (legacy, nft) = (rules(Backend::Legacy), rules(Backend::Nft));
        match self {
            Detection::WrappersV1 if legacy >= 10 || legacy >= nft => Backend::Legacy,
            Detection::WrappersV1 => Backend::Nft,
            _ if kubelet(Backend::Nft, true) => Backend::Nft,
            _ if kubelet(Backend::Legacy, false) => Backend::Legacy,
            Detection::WrappersV2 if legacy > nft => Backend::Legacy,
            Detection::WrappersV2 | Detection::WrappersV3 => Backend::Nft,
        }
    }
}

fn has_kubelets_chains(save: &str) -> bool {
    let chains = [":KUBE-IPTABLES-HINT", ":KUBE-KUBELET-CANARY"];
    save.lines()
        .any(|line| chains.iter().any(|chain| line.starts_with(chain)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::{BuildId, Digest, Origin, Tool, Version};

    const HINT: &str = "*mangle\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";
    const UNREADABLE: &str = "# Table `filter' is incompatible, use 'nft' tool.\n";
    const RULE: &str = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";

    #[rstest]
    #[case::nothing(Detection::WrappersV1, "", "", Backend::Legacy)]
    #[case::more_nft(Detection::WrappersV1, "", RULE, Backend::Nft)]
    #[case::as_many(Detection::WrappersV1, RULE, RULE, Backend::Legacy)]
    #[case::unreadable(Detection::WrappersV1, "", UNREADABLE, Backend::Legacy)]
    #[case::nothing(Detection::WrappersV2, "", "", Backend::Nft)]
    #[case::more_legacy(Detection::WrappersV2, RULE, "", Backend::Legacy)]
    #[case::hint(Detection::WrappersV2, RULE, HINT, Backend::Nft)]
    #[case::hint(Detection::WrappersV2, HINT, RULE, Backend::Legacy)]
    #[case::more_legacy(Detection::WrappersV3, RULE, "", Backend::Nft)]
    #[case::hint(Detection::WrappersV3, HINT, RULE, Backend::Legacy)]
    fn the_wrappers_pick_what_their_versions_pick(
        #[case] detection: Detection,
        #[case] legacy: &str,
        #[case] nft: &str,
        #[case] picked: Backend,
    ) {
        let looks = detection.looks().iter().map(|&(backend, mangle)| Look {
            backend,
            mangle,
            stdout: match backend {
                Backend::Legacy => legacy,
                Backend::Nft => nft,
            },
        });
        assert_eq!(detection.pick(&looks.collect::<Vec<_>>()), picked);
    }

    fn build(image: &str, backend: Backend) -> Build {
        let digest: Digest = "0".repeat(64).parse().expect("a digest");
        Build {
            id: BuildId::new(image, backend),
            version: Version::new(image.trim_start_matches("debian-")),
            tool: Tool::Iptables,
            backend,
            origin: Origin::Upstream,
            variant: None,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        }
    }

    #[rstest]
    #[case("", true, true, true)]
    #[case("writers = ['1.8.7-*']", true, false, true)]
    #[case("readers = ['*-legacy']", false, false, true)]
    #[case("same = ['backend']", true, true, false)]
    #[case("same = ['version']", true, false, true)]
    #[case("same = ['build']", true, false, false)]
    #[case("other = ['backend']", false, false, true)]
    #[case("upgrade = true", false, false, true)]
    fn a_pairing_is_allowed_or_not(
        #[case] pairings: &str,
        #[case] itself: bool,
        #[case] older_reader: bool,
        #[case] other_backend: bool,
    ) {
        let pairings: Pairings = toml::from_str(pairings).expect("well-formed");
        let (old, new) = (build("1.8.7", Backend::Nft), build("1.8.9", Backend::Nft));
        let legacy = build("1.8.7", Backend::Legacy);
        assert_eq!(pairings.allow(&old, &old), itself);
        assert_eq!(pairings.allow(&new, &old), older_reader);
        assert_eq!(pairings.allow(&old, &legacy), other_backend);
    }
}
