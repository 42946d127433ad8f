//! What a scenario's rules and packets need around them in this network namespace: made, waited for, removed.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::error::KernelError;
use super::link::{self, Kind, LOOPBACK, Link, NetworkOf, Settings};
use super::netlink::Connection;
use super::route::{self, Held};
use super::{conntrack, ipset, nfacct};
use crate::scenario::sysctl::{RP_FILTER, Sysctl};
use crate::scenario::{Interface, InterfaceKind, Namespace, Prefix, Setup};

#[cfg(test)]
mod tests;

/// How long interfaces and addresses may take until packets pass, on a machine that is busy.
const SETTLING: Duration = Duration::from_secs(20);

/// What of this namespace is not as it was found, and does not go with an interface.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The IPv4 settings of `lo` that were changed, as they were.
    loopback: BTreeMap<u16, u32>,
}

impl Surroundings {
    /// Removes everything that was made and everything that packets left: interfaces, addresses, routes, settings, sets,
    /// tracked connections. Rules hold on to sets, so they must be gone already.
    pub fn clear(&mut self) -> Result<(), KernelError> {
        let connection = &mut link::connect()?;
        link::delete_own(connection)?;
        for link in link::all(connection)? {
            if link.index != LOOPBACK {
                link::delete(connection, &link)?;
            }
        }
        for held in route::addresses(connection)? {
            if held.index == LOOPBACK && !route::is_of_the_loopback(&held) {
                route::delete_address(connection, held)?;
            }
        }
        route::delete_routes(connection)?;
        route::delete_rules(connection)?;
        if !self.loopback.is_empty() {
            let before = Settings {
                up: true,
                inet: std::mem::take(&mut self.loopback),
                ..Settings::default()
            };
            link::set(connection, LOOPBACK, "lo", &before)?;
        }
        ipset::reset()?;
        nfacct::reset()?;
        forget()
    }

    /// Makes what `setup` says of the namespace `at`, which is this one; `far` are the namespaces of the other ends.
    pub fn furnish(
        &mut self,
        at: Namespace,
        setup: &Setup,
        far: &BTreeMap<Namespace, NetworkOf>,
    ) -> Result<(), KernelError> {
        let connection = &mut link::connect()?;
        if at.is_lane() {
            for interface in in_order(&setup.interfaces) {
                link::make(connection, &interface.name, kind(interface, far)?)?;
            }
        }
        let made = link::all(connection)?;
        bring_up(connection, at, setup, &made)?;
        self.set_loopback(connection, at, setup, &made)?;
        add_addresses(connection, at, setup, &made)?;
        for route in setup.routes.iter().filter(|route| route.at == at) {
            let interface = route.interface.as_deref();
            let interface = interface.map(|name| index(&made, name)).transpose()?;
            route::add_route(connection, route.to, route.via, interface)?;
        }
        if at.is_lane() {
            for interface in &setup.interfaces {
                route::drop_unroutable(connection, &interface.name)?;
            }
            setup.sets.iter().try_for_each(ipset::make)?;
            let mut accounts = setup.accounts.iter();
            accounts.try_for_each(|name| nfacct::make(name))?;
        }
        Ok(())
    }

    fn set_loopback(
        &mut self,
        connection: &mut Connection,
        at: Namespace,
        setup: &Setup,
        made: &[Link],
    ) -> Result<(), KernelError> {
        let wanted = sysctls(setup, "lo")?;
        if !at.is_lane() || wanted.is_empty() {
            return Ok(());
        }
        let held = made.iter().find(|link| link.index == LOOPBACK);
        for key in wanted.keys() {
            let before = held.and_then(|link| link.inet.get(key)).copied();
            let before = before.ok_or_else(|| missing(&format!("setting {key} of lo")))?;
            self.loopback.entry(*key).or_insert(before);
        }
        let settings = Settings {
            up: true,
            inet: wanted,
            ..Settings::default()
        };
        link::set(connection, LOOPBACK, "lo", &settings)
    }
}

/// Forgets tracked connections and neighbours, so that no packet is judged by what an earlier one left.
pub fn forget() -> Result<(), KernelError> {
    conntrack::flush()?;
    route::forget_neighbours(&mut link::connect()?)
}

/// Waits until packets can pass: an interface is used only when the kernel has seen, in a work queue, that its other end
/// is up (`linkwatch_event` in net/core/link_watch.c), and an IPv6 address only when its route is there.
pub fn settle() -> Result<(), KernelError> {
    let connection = &mut link::connect()?;
    let begun = Instant::now();
    while let Some(waited_for) = unsettled(connection)? {
        if begun.elapsed() > SETTLING {
            return Err(KernelError::Unready(waited_for));
        }
        thread::sleep(Duration::from_micros(500));
    }
    Ok(())
}

/// What packets have to wait for.
fn unsettled(connection: &mut Connection) -> Result<Option<String>, KernelError> {
    let links = link::all(connection)?;
    for link in &links {
        let has_ports = links.iter().any(|port| port.master == Some(link.index));
        let is_veth = link.kind.as_deref() == Some("veth");
        if (is_veth || has_ports) && !link.is_up && !link::is_up(connection, link)? {
            return Ok(Some(format!("the interface {}", link.name)));
        }
    }
    for held in route::addresses(connection)? {
        let address = held.prefix.address;
        if address.is_ipv6() && !route::is_local(connection, address)? {
            return Ok(Some(format!("the address {address}")));
        }
    }
    Ok(None)
}

/// Bridges first, since veth ends become their ports.
fn in_order(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    let of_kind = |kind| move |interface: &&Interface| interface.kind == kind;
    let bridges = interfaces.iter().filter(of_kind(InterfaceKind::Bridge));
    bridges.chain(interfaces.iter().filter(of_kind(InterfaceKind::Veth)))
}

fn kind(interface: &Interface, far: &BTreeMap<Namespace, NetworkOf>) -> Result<Kind, KernelError> {
    match (interface.kind, interface.end) {
        (InterfaceKind::Bridge, _) => Ok(Kind::Bridge),
        (InterfaceKind::Veth, end) => {
            let far = end.and_then(|end| far.get(&end)).copied();
            let far = far.ok_or_else(|| missing(&format!("other end of {}", interface.name)))?;
            Ok(Kind::Veth { far })
        }
    }
}

/// The interfaces that are brought up in a namespace, each with the bridge that it is a port of. The far ends are there
/// when the lane has made them.
fn interfaces(at: Namespace, setup: &Setup) -> Vec<(&str, Option<&str>)> {
    if !at.is_lane() {
        return vec![("eth0", None)];
    }
    in_order(&setup.interfaces)
        .map(|interface| (interface.name.as_str(), interface.master.as_deref()))
        .collect()
}

fn bring_up(
    connection: &mut Connection,
    at: Namespace,
    setup: &Setup,
    made: &[Link],
) -> Result<(), KernelError> {
    for (name, master) in interfaces(at, setup) {
        let link = find(made, name)?;
        // The host's own setting may have been inherited, and would drop what a scenario sends from afar.
        let mut inet = BTreeMap::from([(RP_FILTER, 0)]);
        if at.is_lane() {
            inet.extend(sysctls(setup, name)?);
        }
        let settings = Settings {
            up: false,
            master: master.map(|master| index(made, master)).transpose()?,
            inet,
            no_link_local: link.has_inet6,
        };
        link::set(connection, link.index, name, &settings)?;
        // After its settings: coming up is what would give it a link-local address.
        let up = Settings {
            up: true,
            ..Settings::default()
        };
        link::set(connection, link.index, name, &up)?;
    }
    Ok(())
}

fn add_addresses(
    connection: &mut Connection,
    at: Namespace,
    setup: &Setup,
    made: &[Link],
) -> Result<(), KernelError> {
    if setup.has_ipv6() {
        for (name, master) in interfaces(at, setup) {
            if master.is_none() {
                let index = index(made, name)?;
                let prefix = link_local(at);
                route::add_address(connection, Held { index, prefix })?;
            }
        }
    }
    for address in setup.addresses.iter().filter(|address| address.at == at) {
        let index = index(made, &address.interface)?;
        let prefix = address.address;
        route::add_address(connection, Held { index, prefix })?;
    }
    Ok(())
}

/// The link-local address of every interface in a namespace. Who forwards looks for neighbours from it
/// (`ndisc_send_ns` in net/ipv6/ndisc.c), and must not wait until the kernel has found one that nobody has.
fn link_local(at: Namespace) -> Prefix {
    let host = match at {
        Namespace::Lane => 1,
        Namespace::Peer => 2,
        Namespace::Inner => 3,
    };
    Prefix {
        address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, host)),
        length: 64,
    }
}

/// The settings of one interface.
fn sysctls(setup: &Setup, interface: &str) -> Result<BTreeMap<u16, u32>, KernelError> {
    let mut settings = BTreeMap::new();
    for (key, value) in &setup.sysctls {
        let sysctl = Sysctl::parse(key, value).map_err(|wrong| {
            KernelError::refused(format!("setting {key}"))(io::Error::other(wrong))
        })?;
        if sysctl.interface == interface {
            settings.insert(sysctl.number, sysctl.value);
        }
    }
    Ok(settings)
}

fn index(made: &[Link], name: &str) -> Result<i32, KernelError> {
    find(made, name).map(|link| link.index)
}

fn find<'a>(made: &'a [Link], name: &str) -> Result<&'a Link, KernelError> {
    let found = made.iter().find(|link| link.name == name);
    found.ok_or_else(|| missing(name))
}

fn missing(what: &str) -> KernelError {
    KernelError::refused(format!("looking for the {what}"))(io::Error::from_raw_os_error(
        libc::ENODEV,
    ))
}
