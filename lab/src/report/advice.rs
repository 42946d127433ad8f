//! Advice for a node, as terminal text: the answer in three lines, then the pairs, then what was not tested.

mod json;
mod words;

use std::collections::BTreeSet;
use std::fmt::Write;

pub use json::{render as json, schema};
use words::{list, name};

use super::terminal::{HEADING, inert, paint, wrap};
use super::wording::counted;
use crate::advice::{Advice, Changes, Found, Member, Pair, Safety, Untested};
use crate::catalog::{Backend, BuildId};
use crate::matrix::Certainty;

/// Where an answer comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Whether it was run now.
    pub source: Source,
    /// Which rules it is about: `Kubernetes' scenarios`, `node.save`.
    pub rules: String,
    /// How many scenarios these are.
    pub scenarios: usize,
    /// When it was made.
    pub made: jiff::Timestamp,
    /// On which kernel.
    pub kernel: String,
    /// Through which engine.
    pub engine: String,
}

/// Whether an answer was run for, or read from the built-in report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Run now.
    Run,
    /// The built-in report, as was asked for.
    Published,
    /// The built-in report, because nothing could be run here: why.
    NotRun(String),
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// The answer, and the worst of each pair.
    Short,
    /// All that is lost and all that was not tested, rule by rule.
    Full,
}

/// The page.
pub fn render(
    advice: &Advice<'_>,
    members: &[Member],
    basis: &Basis,
    details: Details,
    width: usize,
) -> String {
    let mut page = String::new();
    let mut answer = answer(advice, members).into_iter();
    if let Some(first) = answer.next() {
        let _ = writeln!(page, "{}", paint(HEADING, paragraph(&first, width)));
    }
    for line in answer {
        let _ = writeln!(page, "{}", paragraph(&line, width));
    }
    let _ = writeln!(page, "\n{}", paragraph(&source(basis), width));
    page.push_str(&who(members, width));
    page.push_str(&pairs(advice, members, details, width));
    page.push_str(&two_backends(advice, members, width));
    page.push_str(&not_tested(advice, members, details, width));
    if details == Details::Short && has_more(advice) {
        page.push_str("\n--full lists every rule.\n");
    }
    page
}

fn paragraph(text: &str, width: usize) -> String {
    wrap(text, width.saturating_sub(2)).join("\n  ")
}

/// The answer in three lines: safe or not, the worst thing, the least change.
fn answer(advice: &Advice<'_>, members: &[Member]) -> [String; 3] {
    let of_safety = |safety| {
        advice
            .pairs
            .iter()
            .filter(move |pair| pair.safety == safety)
            .count()
    };
    let (all, harmed) = (advice.pairs.len(), of_safety(Safety::Unsafe));
    let nothing = "Fix: nothing needs to change.".to_owned();
    match advice.safety() {
        Safety::Unsafe => [
            format!(
                "Not safe: in {harmed} of {all} pairs rules are lost or changed, or a program fails."
            ),
            format!("Worst: {}.", worst(advice, members)),
            match &advice.change {
                Some(change) => format!("Fix: {}.", words::change(change, members)),
                None => "Fix: no release that was tested makes all pairs safe.".to_owned(),
            },
        ],
        Safety::TwoBackends => [
            "Never safe: two backends are in use on this node, nft and legacy.".to_owned(),
            "Worst: neither sees the other's rules, and packets must pass both.".to_owned(),
            "Fix: no newer release helps. Each backend's tools see only their own rules."
                .to_owned(),
        ],
        Safety::NotTested if of_safety(Safety::NotTested) == all => [
            "Not tested: nothing is known of these programs with these rules.".to_owned(),
            format!("Missing: {}.", gaps(advice)),
            "Fix: none can be named before it is tested.".to_owned(),
        ],
        Safety::NotTested | Safety::SafeAsTested => [
            "No rule was lost or changed in what was tested; not everything was tested.".to_owned(),
            format!("Not tested: {}.", gaps(advice)),
            nothing,
        ],
        Safety::Safe if advice.pairs.is_empty() => [
            "Safe: only one iptables is in use, so nobody reads another one's rules.".to_owned(),
            "Worst: nothing.".to_owned(),
            nothing,
        ],
        Safety::Safe => [
            format!(
                "Safe: no rule was lost or changed in any of {all} pairs of writer and reader."
            ),
            "Worst: nothing.".to_owned(),
            nothing,
        ],
    }
}

fn worst(advice: &Advice<'_>, members: &[Member]) -> String {
    let Some((pair, found)) = advice.worst() else {
        return "nothing".to_owned();
    };
    let (writer, reader) = (name(&members[pair.writer]), name(&members[pair.reader]));
    let deed = words::deed(&found.harm, &writer, &reader, members[pair.reader].changes);
    let consequence = words::consequence(&found.harm);
    let consequence = consequence.map_or_else(String::new, |of| format!("{of}: "));
    format!("{consequence}{deed}; {}", words::place(found))
}

/// All that was not tested, in half a sentence.
fn gaps(advice: &Advice<'_>) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut operations = BTreeSet::new();
    for pair in &advice.pairs {
        operations.extend(pair.missing.iter().copied());
    }
    if advice.pairs.iter().any(|pair| pair.scenarios.is_empty()) {
        let never = advice.pairs.iter().filter(|pair| pair.scenarios.is_empty());
        said.push(format!("{} pairs that were never run", never.count()));
    } else if !operations.is_empty() {
        let operations: Vec<_> = operations.into_iter().collect();
        said.push(words::missing(&operations));
    }
    let rules = untested(advice.pairs.iter());
    if !rules.is_empty() {
        said.push(format!("{} rules ({})", rules.len(), reasons(&rules)));
    }
    if !advice.left_out.is_empty() {
        said.push(format!(
            "the iptables of {}",
            inert(&advice.left_out.join(", "))
        ));
    }
    list(&said)
}

/// Rules that could not be tested, each once.
fn untested<'a>(pairs: impl Iterator<Item = &'a Pair<'a>>) -> Vec<&'a Untested> {
    let all: BTreeSet<&Untested> = pairs
        .flat_map(|pair| pair.untested.iter().copied())
        .collect();
    all.into_iter().collect()
}

/// The first reason, and how many there are.
fn reasons(rules: &[&Untested]) -> String {
    let reasons: BTreeSet<&str> = rules.iter().map(|rule| rule.reason.as_str()).collect();
    let first = reasons.first().map(|of| inert(of)).unwrap_or_default();
    match reasons.len() {
        0 | 1 => first,
        several => format!("{first}; and {} other reasons", several - 1),
    }
}

fn source(basis: &Basis) -> String {
    let Basis {
        rules,
        scenarios,
        made,
        kernel,
        engine,
        ..
    } = basis;
    let date = made.strftime("%d %b %Y");
    let report = format!(
        "With {rules}, from the built-in report ({date}, Linux {kernel}, {scenarios} scenarios)."
    );
    match &basis.source {
        Source::Run => format!("With {rules}, run now on Linux {kernel}; engine: {engine}."),
        Source::Published => format!("{report} Nothing was run now."),
        Source::NotRun(why) => format!("{report} Nothing could be run here: {why}"),
    }
}

/// Who they are: what each ships, what is tested for it, and how it changes rules.
fn who(members: &[Member], width: usize) -> String {
    let mut text = format!("\n{}\n", paint(HEADING, "Members"));
    for member in members {
        let package = member.package.as_deref().map(inert);
        let ships = match (package, member.stands_in) {
            (Some(package), true) => {
                format!(
                    "{package}; {} stands in for it, without its patches",
                    member.build
                )
            }
            (Some(package), false) => format!("{package} ({})", member.build),
            (None, true) => format!("{} stands in for what it ships", member.build),
            (None, false) => member.build.to_string(),
        };
        let said = format!(
            "{}: {ships}; {}",
            inert(&member.name),
            words::way(member.changes)
        );
        let lines = wrap(&said, width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
    }
    text
}

/// Pairs that are the same to everybody: of the same builds, the reader changing rules in the same way.
struct Same<'a> {
    pair: &'a Pair<'a>,
    writers: Vec<usize>,
    readers: Vec<usize>,
}

fn grouped<'a>(advice: &'a Advice<'a>, members: &[Member]) -> Vec<Same<'a>> {
    let key = |pair: &Pair<'_>| -> (BuildId, BuildId, Changes, Safety) {
        let (writer, reader) = (&members[pair.writer], &members[pair.reader]);
        (
            writer.build.clone(),
            reader.build.clone(),
            reader.changes,
            pair.safety,
        )
    };
    let mut groups: Vec<Same<'_>> = Vec::new();
    for pair in &advice.pairs {
        match groups.iter_mut().find(|of| key(of.pair) == key(pair)) {
            Some(group) => {
                let add = |places: &mut Vec<usize>, place| {
                    if !places.contains(&place) {
                        places.push(place);
                    }
                };
                add(&mut group.writers, pair.writer);
                add(&mut group.readers, pair.reader);
            }
            None => groups.push(Same {
                pair,
                writers: vec![pair.writer],
                readers: vec![pair.reader],
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.pair.safety));
    groups
}

fn pairs(advice: &Advice<'_>, members: &[Member], details: Details, width: usize) -> String {
    let mut text = String::new();
    if !advice.pairs.is_empty() {
        let _ = writeln!(text, "\n{}", paint(HEADING, "Pairs (writer → reader)"));
    }
    for group in grouped(advice, members) {
        let names = |places: &[usize]| {
            let names: Vec<String> = places.iter().map(|of| name(&members[*of])).collect();
            list(&names)
        };
        let (writers, readers) = (names(&group.writers), names(&group.readers));
        let said = format!(
            "{}: {writers} → {readers}",
            group.pair.safety.as_str().replace('-', " ")
        );
        let lines = wrap(&said, width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
        let alike = alike(
            group.pair,
            (&writers, &readers),
            members[group.pair.reader].changes,
        );
        text.push_str(&losses(&alike, details, width));
    }
    text
}

/// What is lost in a pair, the gravest first; in short only that.
fn losses(alike: &[Alike<'_>], details: Details, width: usize) -> String {
    let mut text = String::new();
    let shown = match details {
        Details::Short => 1,
        Details::Full => alike.len(),
    };
    for kind in &alike[..shown.min(alike.len())] {
        let lines = wrap(&kind.line(), width.saturating_sub(6));
        let _ = writeln!(text, "    {}", lines.join("\n      "));
        for found in kind.found.iter().filter(|_| details == Details::Full) {
            let written = found.damage.written.as_deref().map(inert);
            let said = format!("{}: {}", words::place(found), written.unwrap_or_default());
            let lines = wrap(&said, width.saturating_sub(8));
            let _ = writeln!(text, "      {}", lines.join("\n        "));
        }
    }
    if alike.len() > shown {
        let more = alike.len() - shown;
        let kinds = if more == 1 { "kind" } else { "kinds" };
        let _ = writeln!(text, "    and {more} other {kinds} of loss");
    }
    text
}

/// Rules that fare alike.
struct Alike<'a> {
    deed: String,
    found: Vec<&'a Found<'a>>,
}

fn alike<'a>(
    pair: &'a Pair<'a>,
    (writer, reader): (&str, &str),
    changes: Changes,
) -> Vec<Alike<'a>> {
    let mut found: Vec<&Found<'_>> = pair.harms.iter().collect();
    found.sort_by_key(|of| std::cmp::Reverse(of.harm.gravity()));
    let mut kinds: Vec<Alike<'_>> = Vec::new();
    for found in found {
        let deed = words::deed(&found.harm, writer, reader, changes);
        let is_alike = |of: &&mut Alike<'_>| {
            of.deed == deed
                && of
                    .found
                    .iter()
                    .all(|of| of.harm.consequence == found.harm.consequence)
        };
        match kinds.iter_mut().find(is_alike) {
            Some(kind) => kind.found.push(found),
            None => kinds.push(Alike {
                deed,
                found: vec![found],
            }),
        }
    }
    kinds
}

impl Alike<'_> {
    fn line(&self) -> String {
        let Some(first) = self.found.first() else {
            return self.deed.clone();
        };
        let scenarios: BTreeSet<&str> = self.found.iter().map(|of| &*of.damage.scenario).collect();
        let is_shown = |of: &&&Found<'_>| of.harm.certainty == Certainty::Shown;
        let (shown, all) = (self.found.iter().filter(is_shown).count(), self.found.len());
        let consequence = words::consequence(&first.harm);
        let consequence = consequence.map_or_else(String::new, |of| format!("{of}: "));
        let confirmed = match shown {
            _ if shown == all => String::new(),
            0 => String::new(),
            some => format!(", {some} of them confirmed"),
        };
        let place = words::place(first);
        match all {
            1 => format!("{consequence}{}; {place}", self.deed),
            rules => format!(
                "{consequence}{}; {rules} rules of {}{confirmed}. Example: {place}",
                self.deed,
                counted(scenarios.len(), "scenario")
            ),
        }
    }
}

/// Who sees what, and whose rules packets meet, where both backends are in use.
fn two_backends(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let of = |backend: Backend| -> Vec<String> {
        let of_backend = members.iter().filter(|member| member.backend() == backend);
        of_backend.map(|member| inert(&member.name)).collect()
    };
    let (nft, legacy) = (of(Backend::Nft), of(Backend::Legacy));
    if nft.is_empty() || legacy.is_empty() || advice.pairs.is_empty() {
        return String::new();
    }
    let (nft, legacy) = (list(&nft), list(&legacy));
    let said = [
        format!("nft: {nft}. legacy: {legacy}."),
        format!(
            "Who sees what: {nft} cannot list, check, delete or restore what {legacy} wrote, nor the other way round. What \
             both write is there twice."
        ),
        "Whose rules packets meet: both. The kernel has hooks of both backends at the same places and runs each packet \
         through both: a packet that either drops is dropped, and an ACCEPT of one does not spare it the other's rules."
            .to_owned(),
    ];
    let mut text = format!("\n{}\n", paint(HEADING, "Two backends"));
    for line in said {
        let lines = wrap(&line, width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
    }
    text
}

/// How many reasons are told in short.
const REASONS: usize = 3;

fn not_tested(advice: &Advice<'_>, members: &[Member], details: Details, width: usize) -> String {
    let mut said: Vec<String> = Vec::new();
    for group in grouped(advice, members) {
        let names: Vec<String> = group.readers.iter().map(|of| name(&members[*of])).collect();
        let pair = group.pair;
        let line = match (pair.scenarios.is_empty(), pair.missing.as_slice()) {
            (true, _) => {
                let writers: Vec<String> =
                    group.writers.iter().map(|of| name(&members[*of])).collect();
                format!("{} → {}: never run together", list(&writers), list(&names))
            }
            (false, []) => continue,
            (false, missing) => format!("{} as reader: {}", list(&names), words::missing(missing)),
        };
        if !said.contains(&line) {
            said.push(line);
        }
    }
    for left_out in &advice.left_out {
        said.push(format!(
            "Nothing is known of the iptables of {}",
            inert(left_out)
        ));
    }
    let rules = untested(advice.pairs.iter());
    said.extend(untested_rules(&rules, details));
    if said.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(HEADING, "Not tested"));
    for line in said {
        let lines = wrap(&line, width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
    }
    text
}

/// Rules that could not be tested, by their reasons.
fn untested_rules(rules: &[&Untested], details: Details) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<&Untested>)> = Vec::new();
    for rule in rules {
        match by_reason
            .iter_mut()
            .find(|(reason, _)| *reason == rule.reason)
        {
            Some((_, same)) => same.push(rule),
            None => by_reason.push((&rule.reason, vec![rule])),
        }
    }
    by_reason.sort_by_key(|(_, same)| std::cmp::Reverse(same.len()));
    let mut said = Vec::new();
    let shown = match details {
        Details::Short => REASONS,
        Details::Full => by_reason.len(),
    };
    let rule = |of: &Untested| {
        let index = of
            .index
            .map_or_else(String::new, |index| format!(" rule {index}"));
        let with = of.operation.map_or_else(String::new, |operation| {
            format!(" with {}", words::operation(operation))
        });
        inert(&format!(
            "{}, {}{index}{with}: {}",
            of.scenario, of.chain, of.given
        ))
    };
    for (reason, same) in by_reason.iter().take(shown) {
        let (first, all) = (
            same.first().map(|of| rule(of)).unwrap_or_default(),
            same.len(),
        );
        match (details, all) {
            (Details::Short, 1) => said.push(format!("{first} ({})", inert(reason))),
            (Details::Short, _) => {
                said.push(format!("{all} rules ({}). Example: {first}", inert(reason)));
            }
            (Details::Full, _) => {
                said.extend(
                    same.iter()
                        .map(|of| format!("{} ({})", rule(of), inert(reason))),
                );
            }
        }
    }
    if by_reason.len() > shown {
        let rest = by_reason[shown..].iter().map(|(_, same)| same.len());
        said.push(format!(
            "{} more rules for other reasons",
            rest.sum::<usize>()
        ));
    }
    said
}

fn has_more(advice: &Advice<'_>) -> bool {
    let mut pairs = advice.pairs.iter();
    pairs.any(|pair| !pair.harms.is_empty() || !pair.untested.is_empty())
}
