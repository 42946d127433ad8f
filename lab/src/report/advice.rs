//! Advice for a cluster, as terminal text.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::terminal::{HEADING, inert, paint, sign, style, wrap};
use crate::advice::{Advice, Damage, Known, Member, Pair};
use crate::catalog::BuildId;
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::Certainty;

/// The page: what was asked, the least change, which pairs are safe, and which lose what. `basis` says where the answer
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
    for line in wrap(&inert(basis), width) {
        let _ = writeln!(page, "{line}");
    }
    page.push_str(&change(advice, members, width));
    page.push_str(&others(advice, members, width));
    page.push_str(&harmful(advice, members, width));
    page
}

/// Builds of which one loses something of what the other writes, each pair once with all who use them, and what is lost.
fn harmful(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let mut text = String::new();
    let mut told: Vec<(&BuildId, &BuildId)> = Vec::new();
    for pair in &advice.pairs {
        let builds = (&members[pair.writer].build, &members[pair.reader].build);
        let harms = pair.harms();
        if harms.is_empty() || told.contains(&builds) {
            continue;
        }
        told.push(builds);
        let (writers, readers) = (users(builds.0, members), users(builds.1, members));
        let title = format!(
            "{} {}, {} {}",
            writers.join(" and "),
            if writers.len() == 1 {
                "writes"
            } else {
                "write"
            },
            readers.join(" and "),
            if readers.len() == 1 {
                "reads and writes back"
            } else {
                "read and write back"
            },
        );
        let lines = wrap(&title, width.saturating_sub(2));
        let _ = writeln!(text, "\n{}", paint(HEADING, lines.join("\n  ")));
        for (consequence, losses) in by_consequence(&harms) {
            let said = match consequence {
                Some(consequence) => format!("{consequence}: {}", consequence.meaning()),
                None => "no consequence for packets is known".to_owned(),
            };
            let lines = wrap(&said, width.saturating_sub(4));
            let _ = writeln!(text, "  {}", lines.join("\n    "));
            for loss in losses {
                text.push_str(&loss.line(width));
            }
        }
    }
    text
}

/// Who has a build.
fn users(build: &BuildId, members: &[Member]) -> Vec<String> {
    let users = members.iter().filter(|member| &member.build == build);
    users.map(|member| inert(&member.name)).collect()
}

/// Rules that lose the same, with the same consequence.
struct Alike<'a> {
    verdict: Verdict,
    what: &'a str,
    /// What befalls each of them, the surest first.
    harms: Vec<&'a Damage>,
}

/// What comes to harm, the gravest consequence first, and in each what is lost.
fn by_consequence<'a>(harms: &[&'a Damage]) -> Vec<(Option<Consequence>, Vec<Alike<'a>>)> {
    let mut groups: Vec<(Option<Consequence>, Vec<Alike<'a>>)> = Vec::new();
    let mut harms = harms.to_vec();
    harms.sort_by_key(|harm| {
        let severity = harm.verdict().map_or(0, Verdict::severity);
        (
            std::cmp::Reverse((harm.consequence(), severity)),
            harm.certainty(),
        )
    });
    for harm in harms {
        let verdict = harm.verdict().unwrap_or(Verdict::Changed);
        if groups
            .last()
            .is_none_or(|(of, _)| *of != harm.consequence())
        {
            groups.push((harm.consequence(), Vec::new()));
        }
        let Some((_, losses)) = groups.last_mut() else {
            continue;
        };
        let is_alike = |of: &&mut Alike<'_>| of.verdict == verdict && of.what == harm.what;
        match losses.iter_mut().find(is_alike) {
            Some(alike) => alike.harms.push(harm),
            None => losses.push(Alike {
                verdict,
                what: &harm.what,
                harms: vec![harm],
            }),
        }
    }
    groups
}

impl Alike<'_> {
    fn line(&self, width: usize) -> String {
        let mark = paint(
            style(self.verdict),
            format!("{} {}", sign(self.verdict), self.verdict),
        );
        let said = format!("{}{}; {}", self.what, self.certainty(), self.places());
        let room = width.saturating_sub(8 + self.verdict.as_str().len());
        let lines = wrap(&inert(&said), room);
        format!("    {mark}: {}\n", lines.join("\n        "))
    }

    /// How sure the consequence is.
    fn certainty(&self) -> String {
        let is = |certainty| {
            self.harms
                .iter()
                .filter(move |of| of.certainty() == certainty)
        };
        let (shown, all) = (is(Certainty::Shown).count(), self.harms.len());
        let surest = self.harms.first().filter(|of| of.consequence().is_some());
        match surest.map(|of| of.certainty()) {
            Some(Certainty::Shown) if shown < all => format!(", as packets showed for {shown}"),
            Some(Certainty::Shown) => ", as packets showed".to_owned(),
            Some(one) if is(one).count() < all => ", by the rules".to_owned(),
            Some(Certainty::Unmet) => {
                " by the rules, and no packet that was sent met it".to_owned()
            }
            Some(Certainty::IfWrittenBack) => " if it is written back".to_owned(),
            Some(Certainty::Predicted) | None => String::new(),
        }
    }

    /// How many rules of how many scenarios, and the first of them.
    fn places(&self) -> String {
        let scenarios: BTreeSet<&str> = self.harms.iter().map(|of| &*of.scenario).collect();
        let place = |harm: &&Damage| {
            let index = harm
                .index
                .map_or_else(String::new, |index| format!(" {index}"));
            format!("{} ({}): {}{index}", harm.scenario, harm.family, harm.chain)
        };
        let first = self.harms.first().map(place).unwrap_or_default();
        match (self.harms.len(), scenarios.len()) {
            (1, _) => first,
            (rules, 1) => format!("{rules} rules of one scenario, as {first}"),
            (rules, scenarios) => format!("{rules} rules of {scenarios} scenarios, as {first}"),
        }
    }
}

/// Pairs that are safe, and pairs that nothing is known of.
fn others(advice: &Advice<'_>, members: &[Member], width: usize) -> String {
    let mut text = String::new();
    let mut list = |heading: &str, is_listed: &dyn Fn(&Pair<'_>) -> bool| {
        let pairs: Vec<&Pair<'_>> = advice.pairs.iter().filter(|of| is_listed(of)).collect();
        if !pairs.is_empty() {
            let _ = writeln!(text, "\n{}", paint(HEADING, heading));
        }
        for of_writer in pairs.chunk_by(|one, next| one.writer == next.writer) {
            let name = |place: usize| inert(&members[place].name);
            let readers: Vec<String> = of_writer.iter().map(|pair| name(pair.reader)).collect();
            let said = format!("{} → {}", name(of_writer[0].writer), readers.join(", "));
            let lines = wrap(&said, width.saturating_sub(4));
            let _ = writeln!(text, "  {}", lines.join("\n    "));
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
