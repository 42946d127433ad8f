//! Advice for a cluster, as terminal text.

use std::fmt::Write;

use super::terminal::{HEADING, inert, paint, sign, style, wrap};
use crate::advice::{Advice, Damage, Known, Member, Pair};
use crate::judge::verdict::Verdict;
use crate::matrix::Certainty;

/// The page: what was asked, which pairs lose what, which are safe, and the least change. `basis` says where the answer
/// comes from.
pub fn render(advice: &Advice<'_>, members: &[Member], basis: &str, width: usize) -> String {
    let mut page = format!("{}\n", paint(HEADING, "who lives together"));
    let longest = members
        .iter()
        .map(|member| member.name.len())
        .max()
        .unwrap_or(0);
    for member in members {
        let _ = writeln!(
            page,
            "  {:<longest$}  {}",
            inert(&member.name),
            member.build
        );
    }
    page.push('\n');
    for line in wrap(basis, width) {
        let _ = writeln!(page, "{line}");
    }
    page.push_str(&harmful(advice, members, width));
    page.push_str(&others(advice, members, width));
    page.push_str(&change(advice, members, width));
    page
}

/// Pairs that lose something, each with what.
fn harmful(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let mut text = String::new();
    for pair in &advice.pairs {
        let harms = pair.harms();
        if harms.is_empty() {
            continue;
        }
        let (writer, reader) = names(pair, members);
        let title = format!("{writer} writes, {reader} reads and writes back");
        let _ = writeln!(text, "\n{}", paint(HEADING, title));
        for (harm, places) in gathered(&harms) {
            let verdict = harm.verdict().unwrap_or(Verdict::Changed);
            let mark = paint(style(verdict), format!("{} {verdict}", sign(verdict)));
            let consequence = harm.consequence().map(|consequence| {
                let certainty = match harm.certainty() {
                    Certainty::Shown => ", as packets showed",
                    Certainty::Predicted => "",
                    Certainty::Unmet => " by the rules, and no packet that was sent met it",
                    Certainty::IfWrittenBack => " if it is written back",
                };
                format!("; {consequence}: {}{certainty}", consequence.meaning())
            });
            let said = format!("{}{}; {places}", harm.what, consequence.unwrap_or_default());
            let lines = wrap(
                &inert(&said),
                width.saturating_sub(4 + verdict.as_str().len()),
            );
            for (at, line) in lines.iter().enumerate() {
                let _ = match at {
                    0 => writeln!(text, "  {mark}: {line}"),
                    _ => writeln!(text, "      {line}"),
                };
            }
        }
    }
    text
}

/// Harms that are told alike, with the rules and scenarios that they befall.
fn gathered<'a>(harms: &[&'a Damage]) -> Vec<(&'a Damage, String)> {
    let mut groups: Vec<(&Damage, Vec<String>)> = Vec::new();
    for harm in harms {
        let rule = harm
            .index
            .map_or_else(String::new, |index| format!(" {index}"));
        let place = format!("{} ({}): {}{rule}", harm.scenario, harm.family, harm.chain);
        let alike = groups.iter_mut().find(|(known, _)| {
            known.what == harm.what
                && known.verdict() == harm.verdict()
                && known.consequence() == harm.consequence()
                && known.certainty() == harm.certainty()
        });
        match alike {
            Some((_, places)) => places.push(place),
            None => groups.push((harm, vec![place])),
        }
    }
    groups.sort_by_key(|(harm, _)| {
        let severity = harm.verdict().map_or(0, Verdict::severity);
        std::cmp::Reverse((severity, harm.consequence()))
    });
    const SHOWN: usize = 4;
    let shorten = |(harm, places): (&'a Damage, Vec<String>)| {
        let more = places.len().saturating_sub(SHOWN);
        let shown = places
            .iter()
            .take(SHOWN)
            .cloned()
            .collect::<Vec<_>>()
            .join("; ");
        match more {
            0 => (harm, shown),
            more => (harm, format!("{shown}; and {more} more")),
        }
    };
    groups.into_iter().map(shorten).collect()
}

/// Pairs that are safe, and pairs that nothing is known of.
fn others(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let mut text = String::new();
    let mut list = |heading: &str, is_listed: &dyn Fn(&Pair<'_>) -> bool| {
        let pairs = advice.pairs.iter().filter(|pair| is_listed(pair));
        let pairs = pairs.map(|pair| {
            let (writer, reader) = names(pair, members);
            format!("{writer} → {reader}")
        });
        let pairs: Vec<String> = pairs.collect();
        if !pairs.is_empty() {
            let _ = writeln!(text, "\n{}", paint(HEADING, heading));
            for line in wrap(&pairs.join(", "), width.saturating_sub(2)) {
                let _ = writeln!(text, "  {line}");
            }
        }
    };
    list("safe with these rules (writer → reader)", &|pair| {
        pair.known != Known::Not && pair.harms().is_empty()
    });
    list(
        "not known: never run together (writer → reader)",
        &|pair| pair.known == Known::Not,
    );
    text
}

fn change(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let said = match &advice.change {
        _ if advice.pairs.is_empty() => {
            "All are the same build: what one writes the others read as it is.".to_owned()
        }
        None if advice.is_safe() => "Nothing needs to change: every pair is safe.".to_owned(),
        Some(change) => {
            let who = change
                .members
                .iter()
                .map(|place| inert(&members[*place].name));
            let builds = change.builds.values().map(ToString::to_string);
            format!(
                "The least change that makes all safe: give {} the iptables of {}.",
                who.collect::<Vec<_>>().join(" and "),
                builds.collect::<Vec<_>>().join(" or ")
            )
        }
        None => "No release is known that would make all safe.".to_owned(),
    };
    let lines = wrap(&said, width);
    format!("\n{}\n", lines.join("\n"))
}

fn names(pair: &Pair<'_>, members: &[Member]) -> (String, String) {
    let name = |place: usize| inert(&members[place].name);
    (name(pair.writer), name(pair.reader))
}
