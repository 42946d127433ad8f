//! The commands of a cell as they were run, as a shell takes them: who does not trust the lab pastes them.
//!
//! A container stands for each image, all in one network namespace; a reset is a new namespace. What the agent makes
//! over netlink is made with ip and ipset here, what it reads over netlink is not read.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::terminal::{ASIDE, HEADING, inert, paint};
use crate::agent::protocol::End;
use crate::catalog::{Backend, BuildId, Family};
use crate::judge::Cell;
use crate::plan::step::Stage;
use crate::recording::{CommandRecord, LoadRecord, Observation, Seen};
use crate::scenario::{Interface, InterfaceKind, Namespace, Scenario, Setup};

/// Every command of the writer's baseline and of this reader, in order.
pub fn render(cell: &Cell, load: &LoadRecord, scenario: &Scenario) -> String {
    let heading = "commands as they were run; every line below works in a shell, in this order";
    let mut text = format!("{}\n", paint(HEADING, format!("# {heading}")));
    let mine =
        |seen: &&Observation| seen.reader.is_none() || seen.reader.as_ref() == Some(&cell.reader);
    let mine: Vec<&Observation> = load.observations.iter().filter(mine).collect();
    text.push_str(&preamble(&mine, cell, &scenario.setup));
    let mut last = None;
    for seen in mine {
        let part = (seen.stage, &seen.rules, seen.reader.is_some());
        if last.as_ref() != Some(&part) {
            let stage = stage_in_words(seen.stage, seen.reader.is_some());
            aside(&mut text, &format!("{stage} (rules {})", seen.rules));
            last = Some(part);
        }
        match &seen.seen {
            Seen::Command(command) => text.push_str(&of_command(command, load)),
            Seen::Dump(dump) => aside(&mut text, &format!("kernel dump {dump}")),
            Seen::Reset => text.push_str("fresh\n"),
            Seen::Furnished { lacks: Some(lacks) } => {
                aside(&mut text, &format!("cannot be made: {lacks}"))
            }
            Seen::Chain(_) | Seen::Furnished { lacks: None } => {}
            Seen::Probes(outcomes) => {
                for (name, outcome) in outcomes {
                    aside(&mut text, &format!("packet `{name}`: {outcome}"));
                }
            }
        }
    }
    text.push_str("gone\n");
    text
}

/// A line that a shell passes over.
fn aside(text: &mut String, said: &str) {
    let _ = writeln!(text, "{}", paint(ASIDE, format!("# {}", inert(said))));
}

/// How the containers are started and removed: of each image that takes part one, the first holds the namespace.
fn preamble(seen: &[&Observation], cell: &Cell, setup: &Setup) -> String {
    let commands = seen.iter().filter_map(|seen| match &seen.seen {
        Seen::Command(command) => Some(image(&command.build)),
        _ => None,
    });
    let mut images: BTreeSet<&str> = commands.collect();
    let holder = image(&cell.writer);
    images.remove(holder);
    let ends = setup.ends();
    let mut text = String::new();
    aside(
        &mut text,
        "it takes Docker, and the images that `iptables-lab builds build` makes",
    );
    let all: Vec<String> = std::iter::once(holder)
        .chain(images.iter().copied())
        .map(container)
        .chain(ends.iter().map(|end| format!("lab-{end}")))
        .collect();
    let _ = writeln!(
        text,
        "gone() {{ docker rm -f {} >/dev/null 2>&1; }}",
        all.join(" ")
    );
    text.push_str(
        "start() { docker run -di --name \"$1\" --network \"$2\" --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \\\n  \
         $4 \"$(docker images -q \"iptables-lab/$3\" | head -n 1)\" >/dev/null; }\n",
    );
    let own = "--sysctl net.ipv4.ip_forward=1 --sysctl net.ipv6.conf.all.disable_ipv6=0";
    let _ = writeln!(text, "fresh() {{\n  gone");
    let _ = writeln!(text, "  start {} none {holder} '{own}'", container(holder));
    for image in &images {
        let network = format!("container:{}", container(holder));
        let _ = writeln!(text, "  start {} {network} {image} ''", container(image));
    }
    for end in &ends {
        let _ = writeln!(text, "  start lab-{end} none {holder} '{own}'");
    }
    for line in furnish(setup, holder) {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("}\nfresh\n");
    text
}

/// What the scenario needs, made with iproute2 and ipset from outside, as root.
fn furnish(setup: &Setup, holder: &str) -> Vec<String> {
    if *setup == Setup::default() {
        return Vec::new();
    }
    let process =
        |container: &str| format!("$(docker inspect -f '{{{{.State.Pid}}}}' {container})");
    let place = |at: Namespace| match at {
        Namespace::Lane => container(holder),
        Namespace::Peer | Namespace::Inner => format!("lab-{at}"),
    };
    let inside = |at: Namespace| format!("nsenter -n -t \"{}\"", process(&place(at)));
    let lane = inside(Namespace::Lane);
    let mut lines = vec![format!("{lane} ip link set lo up")];
    for interface in &setup.interfaces {
        let Interface {
            name,
            kind,
            end,
            master,
        } = interface;
        match (kind, end) {
            (InterfaceKind::Veth, Some(end)) => {
                let far = process(&place(*end));
                lines.push(format!(
                    "{lane} ip link add {name} type veth peer name eth0 netns \"{far}\""
                ));
                lines.push(format!("{} ip link set eth0 up", inside(*end)));
            }
            _ => lines.push(format!("{lane} ip link add {name} type bridge")),
        }
        if let Some(master) = master {
            lines.push(format!("{lane} ip link set {name} master {master}"));
        }
        lines.push(format!("{lane} ip link set {name} up"));
    }
    for address in &setup.addresses {
        let (at, interface) = (inside(address.at), &address.interface);
        let nodad = if address.address.address.is_ipv6() {
            " nodad"
        } else {
            ""
        };
        let address = String::from(address.address);
        lines.push(format!(
            "{at} ip address add {address} dev {interface}{nodad}"
        ));
    }
    for route in &setup.routes {
        let via = route.via.map(|via| format!(" via {via}"));
        let dev = route
            .interface
            .as_ref()
            .map(|interface| format!(" dev {interface}"));
        let (via, dev) = (via.unwrap_or_default(), dev.unwrap_or_default());
        let (at, to) = (inside(route.at), String::from(route.to));
        lines.push(format!("{at} ip route add {to}{via}{dev}"));
    }
    for (key, value) in &setup.sysctls {
        lines.push(format!("{lane} sysctl -q -w {key}={value}"));
    }
    for set in &setup.sets {
        let family = match set.family {
            Family::Ipv4 => "inet",
            Family::Ipv6 => "inet6",
        };
        let options = set.kind.create_options(family);
        let (name, kind) = (shell_word(&set.name), set.kind);
        lines.push(format!(
            "{lane} ipset create {name} {}{options}",
            kind.as_str()
        ));
        for entry in &set.entries {
            lines.push(format!("{lane} ipset add {name} {entry}"));
        }
    }
    lines
}

/// The image of a build: its id without the backend.
pub(in crate::report) fn image(build: &BuildId) -> &str {
    let id = build.as_str();
    let backends = Backend::ALL.into_iter();
    let mut stems =
        backends.filter_map(|backend| id.strip_suffix(backend.as_str())?.strip_suffix('-'));
    stems.next().unwrap_or(id)
}

fn container(image: &str) -> String {
    format!("lab-{image}")
}

fn stage_in_words(stage: Stage, of_reader: bool) -> &'static str {
    match stage {
        Stage::Baseline => "the writer writes; writer and witness print",
        Stage::Save if of_reader => "the reader saves",
        Stage::Save => "save",
        Stage::Rewrite => "the reader restores what it saved; witness and writer print",
        Stage::Sync => "the reader adds a chain of its own to what it saved, and restores",
        Stage::SyncNoflush => {
            "the reader restores without a flush what it owns, and a chain of its own"
        }
        Stage::Detect => "the reader looks which backend is in use",
        Stage::List => "the reader lists",
        Stage::Cycle => "writer and reader go on rewriting in turn",
        Stage::Check => "the reader checks for each rule, and for near misses",
        Stage::Delete => "the reader deletes each rule",
        Stage::Reassert => "a reader of the other backend writes the rules too",
    }
}

fn of_command(command: &CommandRecord, load: &LoadRecord) -> String {
    let shell: Vec<String> = command.argv.iter().map(|word| shell_word(word)).collect();
    let container = container(image(&command.build));
    let shell = inert(&shell.join(" "));
    let stdin = command.stdin.map(|stdin| load.text(stdin).to_lossy());
    let mut text = match stdin {
        Some(stdin) => {
            let newline = if stdin.ends_with('\n') || stdin.is_empty() {
                ""
            } else {
                "\n"
            };
            format!(
                "docker exec -i {container} {shell} <<'END'\n{}{newline}END\n",
                inert(&stdin)
            )
        }
        None => format!("docker exec {container} {shell}\n"),
    };
    for said in [command.stdout, command.stderr] {
        let said = load.text(said).to_lossy();
        for line in said.lines() {
            aside(&mut text, &format!("  {line}"));
        }
    }
    match command.end {
        End::Exit(0) => {}
        End::Exit(status) => aside(&mut text, &format!("  [exit status {status}]")),
        End::Signal(signal) => aside(&mut text, &format!("  [signal {signal}]")),
        End::TimedOut => aside(&mut text, "  [killed: still running when its time was up]"),
        End::NotFound(errno) => aside(&mut text, &format!("  [cannot be run: errno {errno}]")),
    }
    text
}

/// A word as a POSIX shell takes it.
pub(in crate::report) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
