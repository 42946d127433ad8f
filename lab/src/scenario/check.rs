//! What must hold between the parts of a scenario file beside its rules: that a setup can be made, and that its probes
//! can be sent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::sysctl::Sysctl;
use super::{
    Address, Entry, Expect, Interface, InterfaceKind, Namespace, Probe, ProbeKind, ProbePath,
    Route, Set, Setup,
};
use crate::catalog::Family;
use crate::tool::Fault;

/// A setup with the place of each of its parts in the file.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SetupInFile {
    #[schemars(with = "Vec<Interface>")]
    interfaces: Vec<Spanned<Interface>>,
    #[schemars(with = "Vec<Address>")]
    addresses: Vec<Spanned<Address>>,
    #[schemars(with = "Vec<Route>")]
    routes: Vec<Spanned<Route>>,
    #[schemars(with = "BTreeMap<String, String>")]
    sysctls: BTreeMap<Spanned<String>, String>,
    #[schemars(with = "Vec<Set>")]
    sets: Vec<Spanned<Set>>,
    #[schemars(with = "Vec<String>")]
    nfacct: Vec<Spanned<String>>,
}

/// The setup, if it can be made.
pub(super) fn setup(file: SetupInFile, text: &str) -> Result<Setup, Fault> {
    let mut setup = Setup::default();
    for interface in file.interfaces {
        let at = interface.span();
        let interface = interface.into_inner();
        let wrong = wrong_with_interface(&interface, &setup.interfaces);
        refuse(wrong, text, at, || {
            format!("interface `{}`", interface.name)
        })?;
        setup.interfaces.push(interface);
    }
    for interface in &setup.interfaces {
        // Bridges may be named after their ports.
        let is_bridge = |master: &String| {
            let named = setup.interfaces.iter().find(|other| other.name == *master);
            named.is_some_and(|named| named.kind == InterfaceKind::Bridge)
        };
        if let Some(master) = interface.master.as_ref().filter(|name| !is_bridge(name)) {
            let name = &interface.name;
            let wrong = format!(
                "interface `{name}` is to be a port of `{master}`, which is no bridge of the setup"
            );
            return Err(Fault::at(text, place_of(text, master), wrong));
        }
    }
    for address in file.addresses {
        let at = address.span();
        let address = address.into_inner();
        let wrong = wrong_with_place(address.at, Some(&address.interface), &setup);
        refuse(wrong, text, at, || {
            format!("address `{}`", String::from(address.address))
        })?;
        setup.addresses.push(address);
    }
    for route in file.routes {
        let at = route.span();
        let route = route.into_inner();
        let wrong = wrong_with_route(&route, &setup);
        refuse(wrong, text, at, || {
            format!("route to `{}`", String::from(route.to))
        })?;
        setup.routes.push(route);
    }
    for (key, value) in file.sysctls {
        let wrong = match Sysctl::parse(key.get_ref(), &value) {
            Ok(sysctl) => wrong_with_place(Namespace::Lane, Some(&sysctl.interface), &setup),
            Err(wrong) => Some(wrong),
        };
        refuse(wrong, text, key.span(), || {
            format!("sysctl `{}`", key.get_ref())
        })?;
        setup.sysctls.insert(key.into_inner(), value);
    }
    for set in file.sets {
        let at = set.span();
        let set = set.into_inner();
        let wrong = wrong_with_set(&set, &setup.sets);
        refuse(wrong, text, at, || format!("set `{}`", set.name))?;
        setup.sets.push(set);
    }
    for account in file.nfacct {
        let at = account.span();
        let account = account.into_inner();
        let wrong = wrong_with_account(&account, &setup.accounts);
        refuse(wrong, text, at, || format!("nfacct object `{account}`"))?;
        setup.accounts.push(account);
    }
    Ok(setup)
}

/// Whether every probe can be sent.
pub(super) fn probes(
    probes: &[Spanned<Probe>],
    setup: &Setup,
    families: &[Family],
    text: &str,
) -> Result<(), Fault> {
    for (index, spanned) in probes.iter().enumerate() {
        let probe = spanned.get_ref();
        let mut earlier = probes[..index].iter();
        let wrong = if earlier.any(|other| other.get_ref().name == probe.name) {
            Some("has the name of another".to_owned())
        } else {
            wrong_with_families(probe, families)
                .or_else(|| wrong_with_ports(probe))
                .or_else(|| wrong_with_path(probe, setup))
        };
        refuse(wrong, text, spanned.span(), || {
            format!("probe `{}`", probe.name)
        })?;
    }
    Ok(())
}

fn refuse(
    wrong: Option<String>,
    text: &str,
    at: std::ops::Range<usize>,
    subject: impl FnOnce() -> String,
) -> Result<(), Fault> {
    match wrong {
        Some(wrong) => Err(Fault::at(text, at, format!("{} {wrong}", subject()))),
        None => Ok(()),
    }
}

/// Where a string that was read from the file stands in it.
fn place_of(text: &str, word: &str) -> std::ops::Range<usize> {
    let quoted = format!("\"{word}\"");
    let start = text.find(&quoted).unwrap_or(0);
    start..start + quoted.len()
}

/// `IFNAMSIZ` less the NUL.
const LONGEST_INTERFACE: usize = 15;

/// `IPSET_MAXNAMELEN` less the NUL.
pub(super) const LONGEST_SET: usize = 31;

/// `NFACCT_NAME_MAX` less the NUL.
pub(super) const LONGEST_ACCOUNT: usize = 31;

fn wrong_with_interface(interface: &Interface, earlier: &[Interface]) -> Option<String> {
    let Interface {
        name,
        kind,
        end,
        master,
    } = interface;
    // `dev_valid_name` in net/core/dev.c.
    let is_valid = !name.is_empty()
        && name.len() <= LONGEST_INTERFACE
        && ![".", ".."].contains(&name.as_str())
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace());
    if !is_valid {
        return Some("has a name that no interface can have".to_owned());
    }
    if name == "lo" || earlier.iter().any(|other| other.name == *name) {
        return Some("is there already".to_owned());
    }
    match (kind, end) {
        (InterfaceKind::Bridge, Some(_)) => Some("is a bridge, which has no other end".to_owned()),
        (InterfaceKind::Bridge, None) => master
            .is_some()
            .then(|| "is a bridge, which is no port of another".to_owned()),
        (InterfaceKind::Veth, None | Some(Namespace::Lane)) => {
            Some("needs its other end: write end = \"peer\" or end = \"inner\"".to_owned())
        }
        (InterfaceKind::Veth, Some(end)) => {
            let taken = earlier.iter().find(|other| other.end == Some(*end));
            taken.map(|other| format!("leads to the {end}, and so does `{}`", other.name))
        }
    }
}

/// What is wrong with a place that has an address, a route or a setting.
fn wrong_with_place(at: Namespace, interface: Option<&str>, setup: &Setup) -> Option<String> {
    if !at.is_lane() && !setup.ends().contains(&at) {
        return Some(format!("is in the {at}, which no veth leads to"));
    }
    let name = interface?;
    let is_there = if at.is_lane() {
        name == "lo" || setup.interfaces.iter().any(|made| made.name == name)
    } else {
        name == "eth0"
    };
    (!is_there).then(|| format!("is of `{name}`, which is no interface of the {at}"))
}

fn wrong_with_route(route: &Route, setup: &Setup) -> Option<String> {
    if route.via.is_none() && route.interface.is_none() {
        return Some("leads nowhere: write via or interface".to_owned());
    }
    if route
        .via
        .is_some_and(|via| via.is_ipv4() != route.to.address.is_ipv4())
    {
        return Some("mixes addresses of both families".to_owned());
    }
    if route.to.network() != route.to.address {
        let (network, length) = (route.to.network(), route.to.length);
        return Some(format!("names no network: write {network}/{length}"));
    }
    wrong_with_place(route.at, route.interface.as_deref(), setup)
}

fn wrong_with_set(set: &Set, earlier: &[Set]) -> Option<String> {
    if set.name.is_empty() || set.name.len() > LONGEST_SET {
        return Some(format!(
            "has a name that is not of 1 to {LONGEST_SET} bytes"
        ));
    }
    if earlier.iter().any(|other| other.name == set.name) {
        return Some("has the name of another".to_owned());
    }
    set.entries.iter().find_map(|text| {
        let entry = match Entry::parse(set.kind, set.family, text) {
            Ok(entry) => entry,
            Err(wrong) => return Some(format!("has the entry `{text}`, which {wrong}")),
        };
        let is_unknown = |part: &super::Part| match part {
            super::Part::Set(name) => !earlier.iter().any(|other| other.name == *name),
            _ => false,
        };
        let unknown = entry.parts.iter().any(is_unknown);
        unknown.then(|| format!("has the entry `{text}`, which is no set above it"))
    })
}

fn wrong_with_account(name: &str, earlier: &[String]) -> Option<String> {
    if name.is_empty() || name.len() > LONGEST_ACCOUNT {
        return Some(format!(
            "has a name that is not of 1 to {LONGEST_ACCOUNT} bytes"
        ));
    }
    let is_twice = earlier.iter().any(|other| other == name);
    is_twice.then(|| "is named twice".to_owned())
}

fn wrong_with_families(probe: &Probe, families: &[Family]) -> Option<String> {
    let family = Family::of(probe.to);
    let redirected = match probe.expect {
        Expect::To(address, _) => Some(address),
        Expect::Delivered | Expect::Dropped => None,
    };
    let mut others = [probe.from, probe.seen_from, redirected]
        .into_iter()
        .flatten();
    if others.any(|address| Family::of(address) != family) {
        return Some("mixes addresses of both families".to_owned());
    }
    (!families.contains(&family))
        .then(|| format!("goes to an {family} address, and families has no {family}"))
}

fn wrong_with_ports(probe: &Probe) -> Option<String> {
    let redirected = matches!(probe.expect, Expect::To(_, Some(_)));
    let ports = [probe.port, probe.from_port];
    match probe.kind {
        ProbeKind::Icmp if redirected || ports.iter().any(Option::is_some) => {
            Some("is icmp, which has no ports".to_owned())
        }
        ProbeKind::Udp | ProbeKind::Tcp if probe.port.is_none() => Some("needs a port".to_owned()),
        _ if ports.contains(&Some(0)) => Some("has the port 0, which none is".to_owned()),
        _ => None,
    }
}

fn wrong_with_path(probe: &Probe, setup: &Setup) -> Option<String> {
    let sender = probe.sender(setup);
    match probe.path {
        ProbePath::Loopback | ProbePath::Out => {}
        ProbePath::Forward if probe.from.is_none() => {
            return Some("is forwarded, and needs from: who sends it".to_owned());
        }
        ProbePath::In | ProbePath::Forward if sender.is_lane() => {
            return Some("comes from an address of the lane itself".to_owned());
        }
        ProbePath::In | ProbePath::Forward if !setup.ends().contains(&sender) => {
            return Some(format!("comes from the {sender}, which no veth leads to"));
        }
        ProbePath::In | ProbePath::Forward => {}
    }
    let from = probe.from?;
    let mut addresses = setup.addresses.iter();
    let has_it = addresses.any(|own| own.at == sender && own.address.address == from)
        // Every address of 127.0.0.0/8 is `lo`'s.
        || from.is_loopback() && sender.is_lane();
    (!has_it).then(|| format!("comes from {from}, which is no address of the {sender}"))
}
