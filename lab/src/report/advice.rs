//! Advice for a node, as terminal text: the answer in three lines, then the pairs, then what was not tested.

mod basis;
mod json;
mod pairs;
mod untested;
mod words;

use std::fmt::Write;

pub use basis::{Basis, Details, Source};
pub use json::{render as json, schema};
use pairs::{named, pairs};
use untested::{gaps, not_tested};
use words::{list, name};

use super::terminal::{HEADING, inert, paint, wrap};
use crate::advice::{Advice, Member, Safety};
use crate::catalog::Backend;

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
    page.push_str(&named(advice, details, width));
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

fn has_more(advice: &Advice<'_>) -> bool {
    let mut pairs = advice.pairs.iter();
    pairs.any(|pair| !pair.harms.is_empty() || !pair.untested.is_empty())
}
