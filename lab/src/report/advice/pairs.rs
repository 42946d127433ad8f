//! The pairs of an advice, and what is lost in each.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::basis::Details;
use super::words::{self, list, name};
use crate::advice::{Advice, Changes, Found, Member, Pair, Safety};
use crate::catalog::BuildId;
use crate::matrix::Certainty;
use crate::report::terminal::{HEADING, inert, paint, wrap};
use crate::report::wording::{causes_named, counted};

/// Pairs that are the same to everybody: of the same builds, the reader changing rules in the same way.
pub(super) struct Same<'a> {
    pub pair: &'a Pair<'a>,
    pub writers: Vec<usize>,
    pub readers: Vec<usize>,
}

/// The pairs, those that are the same together, the worst first.
pub(super) fn grouped<'a>(advice: &'a Advice<'a>, members: &[Member]) -> Vec<Same<'a>> {
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

/// The pairs, and what is lost in each.
pub(super) fn pairs(
    advice: &Advice<'_>,
    members: &[Member],
    details: Details,
    width: usize,
) -> String {
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

/// The names of what a loss comes of.
fn causes<'a>(found: &Found<'a>) -> impl Iterator<Item = &'a str> {
    found.of.causes.iter().map(String::as_str)
}

/// The causes in brackets, a paragraph each: in short those of the worst of each pair.
pub(super) fn named(advice: &Advice<'_>, details: Details, width: usize) -> String {
    let shown = advice.pairs.iter().flat_map(|pair| {
        let worst = pair.harms.iter().max_by_key(|of| of.harm.gravity());
        let (worst, all) = match details {
            Details::Full => (None, pair.harms.as_slice()),
            Details::Short => (worst, &[][..]),
        };
        worst.into_iter().chain(all)
    });
    let names: BTreeSet<&str> = shown.flat_map(causes).collect();
    let said = causes_named(&names);
    let mut text = match said.is_empty() {
        true => String::new(),
        false => format!("\n{}\n", paint(HEADING, "Causes")),
    };
    for said in said {
        let lines = wrap(&inert(&said), width.saturating_sub(4));
        let _ = writeln!(text, "  {}", lines.join("\n    "));
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
        let causes: BTreeSet<&str> = self.found.iter().flat_map(|of| causes(of)).collect();
        let causes: Vec<&str> = causes.into_iter().collect();
        let of = match causes.is_empty() {
            true => String::new(),
            false => format!(" [{}]", causes.join(", ")),
        };
        match all {
            1 => format!("{consequence}{}{of}; {place}", self.deed),
            rules => format!(
                "{consequence}{}{of}; {rules} rules of {}{confirmed}. Example: {place}",
                self.deed,
                counted(scenarios.len(), "scenario")
            ),
        }
    }
}
