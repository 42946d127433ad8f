//! Who lives together on a node, as its inventory has it.

use super::Member;
use crate::catalog::{Backend, BuildId};
use crate::inventory::{Found, Inventory, Root};

/// The builds of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The host first, then each build that others bring along, named by their processes.
    pub members: Vec<Member>,
    /// Processes whose iptables is of no known version or build.
    pub left_out: Vec<String>,
}

/// Who lives on the node of an inventory. `is_known` says whether anything is known of a build: for a package that nothing
/// is known of, the upstream release stands that it is made from. None where nothing is known of the host's.
pub fn node(inventory: &Inventory, is_known: impl Fn(&BuildId) -> bool) -> Option<Node> {
    let known = |builds: &[BuildId]| builds.iter().find(|build| is_known(build)).cloned();
    let host = inventory.roots.iter().find(|root| root.is_host)?;
    let build = known(&of_default(host, None))?;
    let backend = match build.as_str().ends_with("-legacy") {
        true => Backend::Legacy,
        false => Backend::Nft,
    };
    let mut node = Node {
        members: vec![member("host", host, build)],
        left_out: Vec::new(),
    };
    for root in inventory.roots.iter().filter(|root| !root.is_host) {
        let builds = of_default(root, Some(backend));
        match (known(&builds), builds.first()) {
            (Some(build), _) => node.add(member(&root.command, root, build)),
            (None, Some(build)) => node.left_out.push(format!("{} ({build})", root.command)),
            (None, None) => node.left_out.push(root.command.clone()),
        }
    }
    Some(node)
}

/// A process with the build that is tested for its iptables. Nothing but Debian's own package is known to be that build; how
/// processes change rules no inventory says.
fn member(command: &str, root: &Root, build: BuildId) -> Member {
    let package = root.debian_package.as_deref();
    let is_package = package.is_some_and(|version| {
        let image = format!("debian-{version}");
        Backend::ALL
            .iter()
            .any(|of| build == BuildId::new(&image, *of))
    });
    let said = || {
        let mut found = root.iptables.iter();
        let is_it = |of: &&Found| {
            of.backend
                .is_some_and(|of| build.as_str().ends_with(of.as_str()))
        };
        found.find(is_it)?.banner.clone()
    };
    let package = match package {
        Some(version) => Some(format!("package iptables {version}")),
        None => said(),
    };
    Member {
        package,
        stands_in: !is_package,
        ..Member::of_build(command, build)
    }
}

impl Node {
    /// A process brings a build along; others may bring the same.
    fn add(&mut self, member: Member) {
        let same = |of: &&mut Member| of.build == member.build && of.package == member.package;
        match self.members[1..].iter_mut().find(same) {
            Some(known) if known.name.split(", ").any(|name| name == member.name) => {}
            Some(known) => known.name = format!("{}, {}", known.name, member.name),
            None => self.members.push(member),
        }
    }
}

/// The builds that could stand for what a root uses, the likeliest first. That is what `iptables` means there, or, where that
/// is a wrapper, its build of the host's backend: as its package, or as the release it is made from.
fn of_default(root: &Root, host: Option<Backend>) -> Vec<BuildId> {
    let is_plain = |found: &&Found| found.version.is_some() && found.backend.is_some();
    let of_backend = |backend: Backend| {
        let mut found = root.iptables.iter().filter(is_plain);
        found.find(|of| of.backend == Some(backend))
    };
    let default = root
        .iptables
        .iter()
        .find(|found| found.is_default && is_plain(found));
    let found = default
        .or_else(|| of_backend(host?))
        .or_else(|| of_backend(Backend::Nft));
    let Some((found, backend)) = found.and_then(|found| Some((found, found.backend?))) else {
        return Vec::new();
    };
    let package = root.debian_package.as_ref();
    let package = package.map(|version| format!("debian-{version}"));
    let images = package.into_iter().chain(found.version.clone());
    images.map(|image| BuildId::new(&image, backend)).collect()
}
