//! Scenarios: a ruleset, how it is written, probes, and where it comes from.

mod check;
mod file;
mod ipset_file;
mod layer;
mod pairings;
mod probe;
mod reduced;
mod set;
mod setup;
pub mod sysctl;
mod system;
mod user_rules;
mod weight;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use file::schema;
pub use ipset_file::IpsetFile;
pub use layer::{Beside, By, InLayer, Layer, Stack, When};
pub use pairings::{Detection, Look, Pairings, Pattern, Same};
pub use probe::{Arrival, Expect, Outcome, Probe, ProbeKind, ProbePath};
pub use set::{Entry, Part, SetKind};
pub use setup::{Address, Interface, InterfaceKind, Namespace, Prefix, Route, Set, Setup};
pub use system::{OpenChains, System};
pub use weight::Weight;

use crate::catalog::{Family, Tool};
use crate::tool::{Given, InFile, Rule, Ruleset, Write};

/// The ruleset of a family that a scenario has no rules for.
static NO_RULES: Ruleset = Ruleset { tables: Vec::new() };

/// Both families, in the order in which every listing shows them.
pub const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// A ruleset in both families or one, with how its system writes it.
///
/// It serialises as the text it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct Scenario {
    /// The file's stem: lower-case letters, digits and hyphens.
    pub name: String,
    /// One line that says what it is.
    pub title: String,
    /// The heading it is listed under: `kubernetes`, `docker`.
    pub group: String,
    /// Where the rules were taken from; none for a user's own ruleset.
    pub source: Option<Source>,
    /// How the system writes its rules.
    pub write: Write,
    /// The chains that the reader owns, for the sync operations.
    pub own_chains: Vec<String>,
    /// Whose rules they are.
    pub system: System,
    /// Which pairings it is about.
    pub pairings: Pairings,
    /// What must be there before the rules are written.
    pub setup: Setup,
    /// The packets that are sent.
    pub probes: Vec<Probe>,
    /// The rules of its own system, in the language of the tool that writes them.
    pub rules: BTreeMap<Family, Given>,
    /// The rules of other systems.
    pub beside: Vec<Beside>,
    /// All rules of a family together, where there are rules of other systems.
    pub stacks: BTreeMap<Family, Stack>,
    /// The file as it stands.
    pub text: String,
}

/// Where a scenario's rules were taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `kubernetes/kubernetes`.
    pub project: String,
    /// The file, issue or page.
    pub url: String,
    /// The version of the project whose rules these are.
    pub version: String,
}

impl Scenario {
    /// Reads a scenario file; `name` is its stem.
    pub fn from_toml(name: &str, text: &str) -> Result<Scenario, InFile> {
        Self::read(name, text).map_err(|fault| fault.in_file(&format!("{name}.toml"), text))
    }

    /// Reads a user's own scenario file; its name is made from the file's.
    pub fn from_toml_file(path: &str, text: &str) -> Result<Scenario, InFile> {
        Self::read(&name_of_file(path), text).map_err(|fault| fault.in_file(path, text))
    }

    /// The families that it is run in.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        self.rules.keys().copied()
    }

    /// The tool that writes the rules of its own system.
    pub fn tool(&self) -> Tool {
        self.write.tool()
    }

    /// Its ruleset of a family, of all layers; an empty one where it has none.
    pub fn ruleset(&self, family: Family) -> &Ruleset {
        let stack = self.stacks.get(&family);
        stack.map_or_else(|| self.own_ruleset(family), |stack| &stack.ruleset)
    }

    /// The text of its rules of a family whose place is kept, with all that they stand in; empty where it has none. Where it has
    /// several layers, each begins with a comment.
    pub fn text_of(&self, family: Family, keep: impl Fn(usize) -> bool) -> String {
        let mut text = String::new();
        for layer in self.layers() {
            let Some(given) = layer.rules.get(&family) else {
                continue;
            };
            if !self.beside.is_empty() {
                text.push_str(&format!("# layer {}, {}\n", layer.number, layer.write));
            }
            let in_whole = |place| self.in_whole(family, layer.number, place);
            text.push_str(&given.only(|place| keep(in_whole(place))));
        }
        text
    }

    /// Its rules in a family, in order: each with its place from 0, and its table.
    pub fn placed_rules(&self, family: Family) -> impl Iterator<Item = (usize, &str, &Rule)> {
        let tables = self.ruleset(family).tables.iter();
        let rules = tables.flat_map(|table| table.rules.iter().map(|rule| (&*table.name, rule)));
        rules
            .enumerate()
            .map(|(place, (table, rule))| (place, table, rule))
    }

    /// The packets that are sent with its rules of a family, each with the namespace that it is sent from.
    pub fn probes_of(&self, family: Family) -> impl Iterator<Item = (Namespace, Probe)> {
        let of_family = self
            .probes
            .iter()
            .filter(move |probe| probe.family() == family);
        of_family.map(|probe| (probe.sender(&self.setup), probe.clone()))
    }

    /// How many rules it has in a family.
    pub fn rule_count(&self, family: Family) -> usize {
        self.ruleset(family).rule_count()
    }
}

/// A scenario as recordings keep it: the text that it is read from again.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Text {
    /// A scenario file.
    File { name: String, toml: String },
    /// A user's own `iptables-save` text.
    Rules {
        name: String,
        family: Family,
        rules: String,
        /// The sets that were made around them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sets: Vec<Set>,
    },
}

impl TryFrom<Text> for Scenario {
    type Error = InFile;

    fn try_from(text: Text) -> Result<Self, InFile> {
        match text {
            Text::File { name, toml } => Scenario::from_toml(&name, &toml),
            Text::Rules {
                name,
                family,
                rules,
                sets,
            } => Scenario::from_rules_among(&name, family, &rules, &sets),
        }
    }
}

impl From<Scenario> for Text {
    fn from(scenario: Scenario) -> Text {
        let family = scenario.families().next().unwrap_or(Family::Ipv4);
        match scenario.source {
            Some(_) => Text::File {
                name: scenario.name,
                toml: scenario.text,
            },
            None => Text::Rules {
                name: scenario.title,
                family,
                rules: scenario.text,
                sets: scenario.setup.sets,
            },
        }
    }
}

/// A scenario's name made from a file's: its stem, with what no name may hold as hyphens.
fn name_of_file(path: &str) -> String {
    let stem = Path::new(path)
        .file_stem()
        .map_or_else(|| path.into(), |stem| stem.to_string_lossy());
    let name: String = stem
        .chars()
        .map(|c| match c.to_ascii_lowercase() {
            c @ ('a'..='z' | '0'..='9') => c,
            _ => '-',
        })
        .collect();
    match name.trim_matches('-') {
        "" => "rules".to_owned(),
        name => name.to_owned(),
    }
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*]
    };
}

/// The scenario files that are part of the binary: name and text, by name.
const SHIPPED: &[(&str, &str)] = shipped![
    "antrea",
    "aws-vpc-cni",
    "calico-ebpf",
    "calico-felix",
    "calico-nat-mangle-raw",
    "cilium",
    "cilium-kube-proxy-free",
    "cni-firewall",
    "cni-portmap",
    "crowdsec-bouncer",
    "detect-v1",
    "detect-v1-unreadable",
    "detect-v2",
    "detect-v3",
    "detect-v3-before-kubelet",
    "docker",
    "docker-dns",
    "docker-ext-bridges",
    "docker-nftables",
    "docker-swarm",
    "docker-swarm-task",
    "docker-userland",
    "downgraded-host",
    "fail2ban",
    "fail2ban-ipset",
    "firewalld-beside-netavark",
    "firewalld-iptables",
    "firewalld-killed-beside-netavark",
    "firewalld-nft",
    "flannel",
    "hardening-ddos",
    "ip-masq-agent",
    "istio-ambient",
    "istio-hostprobe",
    "istio-init",
    "istio-tproxy",
    "k0s-cplb",
    "k0s-node",
    "kind-masq-agent",
    "kube-firewall",
    "kube-proxy-beside-nftables-conf",
    "kube-proxy-ebpf-leftovers",
    "kube-proxy-ipvs",
    "kube-proxy-loadbalancer",
    "kube-proxy-nat",
    "kube-proxy-nftables",
    "kube-proxy-services",
    "kube-router",
    "kube-router-firewall-cycle",
    "kube-router-noflush",
    "kubelet-canary",
    "kubelet-hint",
    "kubelet-mark-drop",
    "kubelet-ownership-cleanup",
    "libvirt",
    "linkerd-init",
    "lxd",
    "mailcow-beside-docker",
    "mark-matches",
    "microk8s",
    "mixed-backends",
    "netavark-nft",
    "netbird-beside-docker",
    "nft-ct-meta-mark",
    "nft-expressions",
    "nft-host-firewall",
    "nft-nat",
    "nft-native-filter",
    "nft-sets-ranges",
    "nft-verdict-maps",
    "node-local-dns",
    "one-binary",
    "openwrt-fw3",
    "ovn-kubernetes",
    "pin-1-8-7",
    "pin-readers-only",
    "podman-netavark",
    "qos-router",
    "rke1-docker",
    "same-backend",
    "shorewall",
    "sshuttle",
    "strongswan-updown",
    "tailscale",
    "tailscale-beside-docker",
    "ufw",
    "upgrade-in-place",
    "upgrade-other-backend",
    "weave-npc",
    "wg-quick",
];

/// The scenarios that are part of the binary, by name.
pub fn shipped() -> Result<Vec<Scenario>, InFile> {
    SHIPPED
        .iter()
        .map(|(name, text)| Scenario::from_toml(name, text))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
