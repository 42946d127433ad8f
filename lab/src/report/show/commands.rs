//! The commands of a cell as they were run, as a shell takes them: who does not trust the lab pastes them.
//!
//! A container stands for each image, all in one network namespace; a reset is a new namespace. What the agent makes
//! over netlink is made with ip and ipset here, what it reads over netlink is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::super::terminal::{ASIDE, HEADING, inert, paint};
use crate::catalog::names::container_in_script;
use crate::catalog::{BuildId, Family, REPOSITORIES, name_in_docker};
use crate::judge::verdict::Verdict;
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::observed::End;
use crate::plan::Operation;
use crate::plan::step::Stage;
use crate::recording::{CommandRecord, LoadRecord, Observation, Seen};
use crate::scenario::{Interface, InterfaceKind, Namespace, Scenario, Setup};

/// Stand for the image of the writer, of the reader and of the witness in what [`excerpt`] returns, so that pairings
/// that ran the same commands have the same text.
pub const STAND_INS: [char; 3] = ['\u{e000}', '\u{e001}', '\u{e002}'];

/// Every command of the writer's baseline and of this reader, in order.
pub fn render(cell: &Cell, load: &LoadRecord, scenario: &Scenario) -> String {
    let heading = "commands as they were run; every line below works in a shell, in this order";
    let mine =
        |seen: &&Observation| seen.reader.is_none() || seen.reader.as_ref() == Some(&cell.reader);
    let mine: Vec<&Observation> = load.observations.iter().filter(mine).collect();
    let names = Names { of: Vec::new() };
    let heading = paint(HEADING, format!("# {heading}"));
    let script = script(&mine, cell, load, &scenario.setup, &names);
    format!("{heading}\n{}", script.concat())
}

/// The commands that show what befell the cell's rules, in order: the writer's baseline, the reader's print, and the
/// operations that did harm, in pieces that many cells share. What was printed is left out.
pub fn excerpt(cell: &Cell, load: &LoadRecord, scenario: &Scenario) -> Vec<String> {
    let telling = telling(cell);
    let harmed = harmed(cell);
    let mine = |seen: &&Observation| {
        let of_pairing = seen
            .reader
            .as_ref()
            .is_none_or(|reader| reader == &cell.reader);
        let is_telling = (seen.reader.is_none() && seen.stage == Stage::Baseline)
            || telling.contains(&seen.stage);
        let of_harmed = seen.rule.is_none_or(|rule| harmed.contains(&rule));
        of_pairing && is_telling && of_harmed
    };
    let mut mine: Vec<&Observation> = load.observations.iter().filter(mine).collect();
    // A load is split to find the rule at fault; the commands with most rules are the ones that really run.
    let mut most: BTreeMap<(Stage, bool), usize> = BTreeMap::new();
    for seen in &mine {
        let most = most.entry((seen.stage, seen.reader.is_some())).or_default();
        *most = (*most).max(seen.rules.len());
    }
    mine.retain(|seen| most.get(&(seen.stage, seen.reader.is_some())) == Some(&seen.rules.len()));
    let builds = [Some(&cell.writer), Some(&cell.reader), witness(cell, load)];
    let mut names = Names { of: Vec::new() };
    for (build, stand_in) in builds.into_iter().zip(STAND_INS) {
        let image = build.map(BuildId::image).unwrap_or_default();
        if !names.of.iter().any(|(known, _)| *known == image) {
            names.of.push((image, stand_in));
        }
    }
    let script = script(&mine, cell, load, &scenario.setup, &names).into_iter();
    script
        .map(|piece| anstream::adapter::strip_str(&piece).to_string())
        .collect()
}

/// Who says what the kernel held after the cell's reader.
pub fn witness<'a>(cell: &Cell, load: &'a LoadRecord) -> Option<&'a BuildId> {
    let reader = load
        .readers
        .iter()
        .find(|reader| reader.id == cell.reader)?;
    reader.witness.as_ref()
}

/// The stages whose commands show what befell the cell's rules; the rewrite where nothing did.
fn telling(cell: &Cell) -> BTreeSet<Stage> {
    let mut telling = BTreeSet::from([Stage::Save]);
    let of_rules = cell
        .outcome
        .rules
        .iter()
        .flat_map(RuleVerdict::by_operation);
    let of_chains = cell
        .outcome
        .chains
        .iter()
        .flat_map(ChainVerdict::by_operation);
    // Other words in a listing are said with the rule.
    let is_harm = |(operation, verdict): &(Operation, Verdict)| match operation {
        Operation::List => verdict.severity() > Verdict::Reworded.severity(),
        _ => verdict.severity() > 0,
    };
    let harms = of_rules.chain(of_chains).filter(is_harm);
    telling.extend(harms.map(|(operation, _)| stage(operation)));
    if cell.outcome.picked.is_some() {
        telling.insert(Stage::Detect);
    }
    if telling.contains(&Stage::Cycle) || telling.len() == 1 {
        telling.insert(Stage::Rewrite);
    }
    telling
}

/// The stage whose commands show what an operation came to.
fn stage(operation: Operation) -> Stage {
    match operation {
        Operation::Write => Stage::Baseline,
        Operation::Save => Stage::Save,
        Operation::List => Stage::List,
        Operation::Rewrite | Operation::Recognition | Operation::Effect => Stage::Rewrite,
        Operation::Cycle => Stage::Cycle,
        Operation::Sync => Stage::Sync,
        Operation::SyncNoflush => Stage::SyncNoflush,
        Operation::Check => Stage::Check,
        Operation::Delete => Stage::Delete,
        Operation::Reassert => Stage::Reassert,
    }
}

/// The rules that `-C` or `-D` are wrong about, by their places in the scenario from 1.
fn harmed(cell: &Cell) -> BTreeSet<usize> {
    let is_harm = |verdict: Option<Verdict>| verdict.is_some_and(|of| of.severity() > 0);
    let rules = cell.outcome.rules.iter().enumerate();
    rules
        .filter(|(_, rule)| {
            is_harm(rule.of(Operation::Check)) || is_harm(rule.of(Operation::Delete))
        })
        .map(|(at, _)| at + 1)
        .collect()
}

/// What images are called in a script: as in Docker, so that a container can be called so too.
struct Names<'a> {
    /// What stands for an image; all others go by their own name.
    of: Vec<(&'a str, char)>,
}

impl Names<'_> {
    fn image(&self, image: &str) -> String {
        let known = self.of.iter().find(|(known, _)| *known == image);
        match known {
            Some((_, stand_in)) => stand_in.to_string(),
            None => name_in_docker(image).into_owned(),
        }
    }

    fn container(&self, image: &str) -> String {
        container_in_script(self.image(image))
    }

    /// Whether what commands printed is said too.
    fn is_whole(&self) -> bool {
        self.of.is_empty()
    }
}

fn script(
    seen: &[&Observation],
    cell: &Cell,
    load: &LoadRecord,
    setup: &Setup,
    names: &Names<'_>,
) -> Vec<String> {
    let mut pieces = vec![preamble(seen, cell, setup, names)];
    let mut last = None;
    for seen in seen {
        let mut text = String::new();
        let part = (seen.stage, &seen.rules, seen.reader.is_some());
        if last.as_ref() != Some(&part) {
            let stage = stage_in_words(seen.stage, seen.reader.is_some());
            aside(&mut text, &format!("{stage} (rules {})", seen.rules));
            pieces.push(std::mem::take(&mut text));
            last = Some(part);
        }
        match &seen.seen {
            Seen::Command(command) => text.push_str(&of_command(command, load, names)),
            Seen::Dump(dump) if names.is_whole() => {
                aside(&mut text, &format!("kernel dump {dump}"))
            }
            Seen::Reset => text.push_str("fresh\n"),
            Seen::Furnished { lacks: Some(lacks) } => {
                aside(&mut text, &format!("cannot be made: {lacks}"))
            }
            Seen::Dump(_) | Seen::Chain(_) | Seen::Furnished { lacks: None } => {}
            Seen::Probes(outcomes) => {
                for (name, outcome) in outcomes {
                    aside(&mut text, &format!("packet `{name}`: {outcome}"));
                }
            }
        }
        pieces.push(text);
    }
    pieces.push("gone\n".to_owned());
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// A line that a shell passes over.
fn aside(text: &mut String, said: &str) {
    let said = inert(said).replace('\n', " ");
    let _ = writeln!(text, "{}", paint(ASIDE, format!("# {said}")));
}

/// How the containers are started and removed: of each image that takes part one, the first holds the namespace.
fn preamble(seen: &[&Observation], cell: &Cell, setup: &Setup, names: &Names<'_>) -> String {
    let commands = seen.iter().filter_map(|seen| match &seen.seen {
        Seen::Command(command) => Some(command.build.image()),
        _ => None,
    });
    let mut images: BTreeSet<&str> = commands.collect();
    let holder = cell.writer.image();
    images.remove(holder);
    let ends = setup.ends();
    let mut text = String::new();
    aside(
        &mut text,
        "it takes Docker, and the images that `iptables-lab builds build` makes",
    );
    let all: Vec<String> = std::iter::once(holder)
        .chain(images.iter().copied())
        .map(|image| names.container(image))
        .chain(ends.iter().map(container_in_script))
        .collect();
    let _ = writeln!(
        text,
        "gone() {{ docker rm -f {} >/dev/null 2>&1; }}",
        all.join(" ")
    );
    let _ = writeln!(
        text,
        "start() {{ docker run -di --name \"$1\" --network \"$2\" --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \\\n  \
         $4 \"$(docker images -q \"{REPOSITORIES}$3\" | head -n 1)\" >/dev/null; }}",
    );
    let own = "--sysctl net.ipv4.ip_forward=1 --sysctl net.ipv6.conf.all.disable_ipv6=0";
    let _ = writeln!(text, "fresh() {{\n  gone");
    let holds = (names.container(holder), names.image(holder));
    let _ = writeln!(text, "  start {} none {} '{own}'", holds.0, holds.1);
    for image in &images {
        let network = format!("container:{}", holds.0);
        let (container, image) = (names.container(image), names.image(image));
        let _ = writeln!(text, "  start {container} {network} {image} ''");
    }
    for end in &ends {
        let container = container_in_script(end);
        let _ = writeln!(text, "  start {container} none {} '{own}'", holds.1);
    }
    for line in furnish(setup, &holds.0) {
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
        Namespace::Lane => holder.to_owned(),
        Namespace::Peer | Namespace::Inner => container_in_script(at),
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
            // Its options are words of their own.
            let entry: Vec<String> = entry.split(' ').map(shell_word).collect();
            lines.push(format!("{lane} ipset add {name} {}", entry.join(" ")));
        }
    }
    for name in &setup.accounts {
        lines.push(format!("{lane} nfacct add {}", shell_word(name)));
    }
    lines
}

fn stage_in_words(stage: Stage, of_reader: bool) -> &'static str {
    match stage {
        Stage::Baseline => "the writer writes; writer and witness print",
        Stage::Save if of_reader => "the reader saves",
        Stage::Save => "save",
        Stage::Rewrite => "the reader restores what it saved; witness and writer print",
        Stage::Reread => "the reader restores parts of what it saved; the writer prints each",
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

/// What a command reads that stays: its input, and then nothing for as long as someone tries it out.
const STAYING: &str = "( exec 2>/dev/null; cat; sleep 600 )";

fn of_command(command: &CommandRecord, load: &LoadRecord, names: &Names<'_>) -> String {
    let shell: Vec<String> = command.argv.iter().map(|word| shell_word(word)).collect();
    let container = names.container(command.build.image());
    let shell = inert(&shell.join(" "));
    let stdin = command.stdin.map(|stdin| load.text(stdin).to_lossy());
    let mut text = match stdin {
        Some(stdin) => {
            let newline = if stdin.ends_with('\n') || stdin.is_empty() {
                ""
            } else {
                "\n"
            };
            let (stdin, end) = (inert(&stdin), end_of(&stdin));
            let exec = format!("docker exec -i {container} {shell}");
            match command.stays {
                true => format!(
                    "{STAYING} <<'{end}' | {exec} >/dev/null 2>&1 &\n{stdin}{newline}{end}\nsleep 1\n"
                ),
                false => format!("{exec} <<'{end}'\n{stdin}{newline}{end}\n"),
            }
        }
        None => format!("docker exec {container} {shell}\n"),
    };
    let printed = names.is_whole().then_some(command.stdout);
    for said in printed.into_iter().chain([command.stderr]) {
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

/// A word that ends a text which has no such line: a comment of a rule may hold line ends.
pub(in crate::report) fn end_of(text: &str) -> String {
    let mut end = "END".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    end
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
