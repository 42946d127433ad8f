//! The inventory of a node, as terminal text, and as the command that asks for advice about it.

use std::fmt::Write;

use super::terminal::{HEADING, inert, paint};
use crate::advice::node;
use crate::catalog::BuildId;
use crate::inventory::{Inventory, Root};

/// A paragraph a root. `is_known` says whether advice can be asked about a build.
pub fn render(inventory: &Inventory, is_known: impl Fn(&BuildId) -> bool) -> String {
    let mut page = String::new();
    for root in &inventory.roots {
        page.push_str(&of_root(root));
    }
    if inventory.roots.is_empty() {
        page.push_str("no process has an iptables under its root\n");
    }
    let _ = writeln!(page, "\n{} processes were looked at", inventory.processes);
    for unreadable in &inventory.unreadable {
        let _ = writeln!(page, "not looked at: {}", inert(unreadable));
    }
    if let Some(command) = advice(inventory, is_known) {
        let _ = writeln!(
            page,
            "\n{}\n{command}",
            paint(HEADING, "# what these lose of each other's rules:")
        );
    }
    page
}

fn of_root(root: &Root) -> String {
    let name = match root.is_host {
        true => "host".to_owned(),
        false => format!("process {} ({})", root.pid, root.command),
    };
    let lock = match root.lock {
        None => "no xtables.lock".to_owned(),
        Some(_) if root.is_host => "its xtables.lock is the host's".to_owned(),
        Some(lock) => match lock.is_shared_with_host {
            Some(true) => "shares the host's xtables.lock".to_owned(),
            Some(false) => {
                "has an xtables.lock of its own: it and the host do not wait for each other"
                    .to_owned()
            }
            None => "has an xtables.lock, and whether it is the host's is not known".to_owned(),
        },
    };
    let mut text = format!(
        "{}\n  {}, {lock}\n",
        paint(HEADING, inert(&name)),
        root.mount_namespace
    );
    if let Some(version) = &root.debian_package {
        let _ = writeln!(text, "  Debian's package iptables {}", inert(version));
    }
    for found in &root.iptables {
        let banner = match (&found.banner, &found.error) {
            (Some(banner), _) => banner.clone(),
            (None, Some(error)) => format!("version unknown: {error}"),
            (None, None) => "version unknown".to_owned(),
        };
        let default = if found.is_default {
            ", what `iptables` means there"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "  {}: {}{default}",
            inert(&found.paths.join(", ")),
            inert(&banner)
        );
    }
    text
}

/// The command that asks for advice: the host, and what is beside it. None where the host has no iptables that is known, or
/// nobody else has one.
fn advice(inventory: &Inventory, is_known: impl Fn(&BuildId) -> bool) -> Option<String> {
    let node = node(inventory, is_known)?;
    let (host, pods) = node.members.split_first()?;
    let pods: Vec<&str> = pods.iter().map(|pod| pod.build.as_str()).collect();
    let command = format!(
        "iptables-lab advise --host {} --pods {}",
        host.build,
        pods.join(",")
    );
    (!pods.is_empty()).then_some(command)
}
