//! The scenarios as a list, and one in full.

use std::fmt::Write;

use super::terminal::{ASIDE, HEADING, inert, paint};
use crate::scenario::{By, InterfaceKind, Pairings, Pattern, ProbeKind, Same, Scenario, Setup};

/// Name, families, number of rules and title of each, by group.
pub fn list(scenarios: &[Scenario]) -> String {
    let mut groups: Vec<(&str, Vec<&Scenario>)> = Vec::new();
    for scenario in scenarios {
        match groups
            .iter_mut()
            .find(|(group, _)| *group == scenario.group)
        {
            Some((_, members)) => members.push(scenario),
            None => groups.push((&scenario.group, vec![scenario])),
        }
    }
    let width = scenarios
        .iter()
        .map(|scenario| scenario.name.len())
        .max()
        .unwrap_or(0);
    let mut page = String::new();
    for (group, members) in groups {
        let _ = writeln!(page, "{}", paint(HEADING, group));
        for scenario in members {
            let families: Vec<String> = scenario
                .families()
                .map(|family| format!("{} {family}", scenario.rule_count(family)))
                .collect();
            let (name, title) = (&scenario.name, inert(&scenario.title));
            let _ = writeln!(page, "  {name:<width$}  {title}");
            let _ = writeln!(
                page,
                "  {:<width$}  {}",
                "",
                paint(ASIDE, format!("{} rules", families.join(", ")))
            );
        }
    }
    page
}

/// One scenario: where it comes from, how it is written, its rules, what they need, and its packets.
pub fn show(scenario: &Scenario) -> String {
    let mut page = format!(
        "{}  {}\n",
        paint(HEADING, &scenario.name),
        inert(&scenario.title)
    );
    for layer in scenario.layers() {
        if !scenario.beside.is_empty() {
            let _ = writeln!(page, "layer {}, of {}", layer.number, by(layer.by));
        }
        if let Some(source) = layer.source {
            let _ = writeln!(
                page,
                "{} {}, {}",
                inert(&source.project),
                inert(&source.version),
                inert(&source.url)
            );
        }
        let stays = match layer.stays {
            true => ", by a program that stays",
            false => "",
        };
        let _ = writeln!(page, "written with {}{stays}", layer.write);
    }
    if !scenario.own_chains.is_empty() {
        let owned = scenario.own_chains.join(", ");
        let _ = writeln!(page, "its own chains are {}", inert(&owned));
    }
    page.push_str(&pairings(&scenario.pairings));
    for family in scenario.families() {
        let _ = writeln!(page, "\n{}", paint(HEADING, family));
        page.push_str(&inert(&scenario.text_of(family, |_| true)));
    }
    page.push_str(&setup(&scenario.setup));
    page.push_str(&probes(scenario));
    page
}

/// Who writes a layer.
fn by(by: By) -> &'static str {
    match by {
        By::Writer => "the writer",
        By::Bystander => "a bystander: the newest build of its tool",
    }
}

/// Which pairings it is about, where not all.
fn pairings(pairings: &Pairings) -> String {
    let mut text = String::new();
    let mut line = |said: String| {
        let _ = writeln!(text, "{}", inert(&said));
    };
    let listed = |patterns: &[Pattern]| {
        let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        patterns.join(", ")
    };
    let words = |common: &[Same]| {
        let words: Vec<&str> = common.iter().map(|same| same.as_str()).collect();
        words.join(" and ")
    };
    if !pairings.writers.is_empty() {
        line(format!("only {} write", listed(&pairings.writers)));
    }
    if !pairings.readers.is_empty() {
        line(format!("only {} read", listed(&pairings.readers)));
    }
    if !pairings.same.is_empty() {
        let same = words(&pairings.same);
        line(format!("writer and reader are of the same {same}"));
    }
    if !pairings.other.is_empty() {
        let other = words(&pairings.other);
        line(format!("writer and reader are of another {other}"));
    }
    if pairings.upgrade {
        line("the reader comes after the writer".to_owned());
    }
    if let Some(detection) = pairings.detect {
        let detection = detection.as_str();
        line(format!(
            "the reader looks which backend is in use ({detection}) and takes it"
        ));
    }
    text
}

/// What is made before the rules are written.
fn setup(setup: &Setup) -> String {
    if *setup == Setup::default() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(HEADING, "what they need"));
    let mut line = |said: String| {
        let _ = writeln!(text, "  {}", inert(&said));
    };
    for interface in &setup.interfaces {
        let end = interface.end.map(|end| format!(" to the {end}"));
        let master = interface
            .master
            .as_ref()
            .map(|of| format!(", a port of {of}"));
        let kind = match interface.kind {
            InterfaceKind::Bridge => "bridge",
            InterfaceKind::Veth => "veth",
        };
        let (end, master) = (end.unwrap_or_default(), master.unwrap_or_default());
        line(format!("{} is a {kind}{end}{master}", interface.name));
    }
    for address in &setup.addresses {
        let (interface, at) = (&address.interface, address.at);
        let address = String::from(address.address);
        line(format!("{address} on {interface} ({at})"));
    }
    for route in &setup.routes {
        let via = route.via.map(|via| format!(" via {via}"));
        let interface = route.interface.as_ref().map(|of| format!(" by {of}"));
        let (via, interface) = (via.unwrap_or_default(), interface.unwrap_or_default());
        let (to, at) = (String::from(route.to), route.at);
        line(format!("{to}{via}{interface} ({at})"));
    }
    for (key, value) in &setup.sysctls {
        line(format!("{key} = {value}"));
    }
    for set in &setup.sets {
        let (name, kind, entries) = (&set.name, set.kind.as_str(), set.entries.join(" "));
        line(format!("set {name} ({kind}, {}): {entries}", set.family));
    }
    for account in &setup.accounts {
        line(format!("nfacct object {account}"));
    }
    text
}

/// The packets that are sent, and what becomes of them while the rules are in place.
fn probes(scenario: &Scenario) -> String {
    if scenario.probes.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(HEADING, "packets"));
    for probe in &scenario.probes {
        let kind = match probe.kind {
            ProbeKind::Icmp => "icmp echo",
            ProbeKind::Udp => "udp",
            ProbeKind::Tcp => "tcp connect",
        };
        let sender = probe.sender(&scenario.setup);
        let from = probe.from.map(|from| format!(" {from}"));
        let from_port = probe.from_port.map(|port| format!(", port {port},"));
        let port = probe.port.map(|port| format!(", port {port}"));
        let mark = probe.mark.map(|mark| format!(", mark {mark:#x}"));
        let seen_from = probe.seen_from.map(|from| format!(", seen from {from}"));
        let [from, from_port, port, mark, seen_from] =
            [from, from_port, port, mark, seen_from].map(Option::unwrap_or_default);
        let _ = writeln!(text, "  {}", inert(&probe.name));
        let expected = String::from(probe.expect);
        let _ = writeln!(
            text,
            "    {kind} from the {sender}{from}{from_port} to {}{port}{mark}: {expected}{seen_from}",
            probe.to
        );
    }
    text
}
