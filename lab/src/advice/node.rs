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

/// Who lives on the node of an inventory. `is_known` says whether anything is known of a build. None where that is not so
/// of the host's.
pub fn node(inventory: &Inventory, is_known: impl Fn(&BuildId) -> bool) -> Option<Node> {
    let host = inventory.roots.iter().find(|root| root.is_host)?;
    let build = of_default(host, None).filter(|build| is_known(build))?;
    let backend = match build.as_str().ends_with("-legacy") {
        true => Backend::Legacy,
        false => Backend::Nft,
    };
    let mut node = Node {
        members: vec![Member {
            name: "host".to_owned(),
            build,
        }],
        left_out: Vec::new(),
    };
    for root in inventory.roots.iter().filter(|root| !root.is_host) {
        match of_default(root, Some(backend)) {
            Some(build) if is_known(&build) => node.add(&root.command, build),
            Some(build) => node.left_out.push(format!("{} ({build})", root.command)),
            None => node.left_out.push(root.command.clone()),
        }
    }
    Some(node)
}

impl Node {
    /// A process brings a build along; others may bring the same.
    fn add(&mut self, command: &str, build: BuildId) {
        match self.members[1..].iter_mut().find(|of| of.build == build) {
            Some(member) if member.name.split(", ").any(|name| name == command) => {}
            Some(member) => member.name = format!("{}, {command}", member.name),
            None => self.members.push(Member {
                name: command.to_owned(),
                build,
            }),
        }
    }
}

/// The build that stands for what a root uses: what `iptables` means there, or, where that is a wrapper, its build of the
/// host's backend.
fn of_default(root: &Root, host: Option<Backend>) -> Option<BuildId> {
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
        .or_else(|| of_backend(Backend::Nft))?;
    let image = match &root.debian_package {
        Some(version) => format!("debian-{version}"),
        None => found.version.clone()?,
    };
    Some(BuildId::new(&image, found.backend?))
}
