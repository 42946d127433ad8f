//! A diagnosis of a node's rules, as terminal text, with what mends them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::show::commands::shell_word;
use super::terminal::{ASIDE, HEADING, inert, paint, style, wrap};
use super::wording::{self, Parts, builds, counted};
use crate::advice::{
    Caused, Damage, Damaged, Diagnosis, Finding, Likely, Likeness, Place, Published, Step,
};
use crate::judge::verdict::Verdict;
use crate::observed::nft_family;

/// The page. `published` is what the rules were compared with.
pub fn render(diagnosis: &Diagnosis, published: &Published, width: usize) -> String {
    let mut page = String::new();
    if diagnosis.findings.is_empty() {
        page.push_str(&paragraph(
            "Nothing found. No rule looks damaged, no rule of a known system is there three times or more, no policy that a known \
             system sets was reset, and nothing shows a second backend.",
            width,
        ));
    }
    for finding in &diagnosis.findings {
        page.push_str(&of_finding(finding, width));
    }
    if let Some(likely) = &diagnosis.likely {
        let _ = write!(page, "\n{}", paragraph(&of_likely(likely), width));
    }
    page.push_str(&causes(diagnosis, width));
    page.push_str(&repair(diagnosis, width));
    let basis = format!(
        "Compared with the built-in report of {} ({} scenarios, {} builds, Linux {}). Nothing was run, and nothing was changed.",
        published.started.strftime("%-d %b %Y"),
        published.scenarios().len(),
        published.builds.len(),
        published.host.kernel
    );
    let _ = write!(page, "\n{}", paragraph(&basis, width));
    page.trim_start_matches('\n').to_owned()
}

fn paragraph(text: &str, width: usize) -> String {
    format!("{}\n", wrap(&inert(text), width).join("\n"))
}

fn of_finding(finding: &Finding, width: usize) -> String {
    let (title, said) = words_of(finding);
    let mut text = format!("\n{}\n", paint(style(Verdict::Lossy), inert(&title)));
    for line in wrap(&inert(&said), width.saturating_sub(2)) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A title, and what is to be said below it.
pub(super) fn words_of(finding: &Finding) -> (String, String) {
    match finding {
        Finding::Damaged(damaged) => (
            format!("{} {} {}: {}", table(&damaged.place), damaged.rule.chain, damaged.index, done(&damaged.damage)),
            of_damage(damaged),
        ),
        Finding::Repeated { place, rule, indices } => (
            format!("{} {}: the same rule {} times", table(place), rule.chain, indices.len()),
            format!(
                "`{}`. A program that does not find its rule, because another release rewrote it, adds it again.",
                rule.text
            ),
        ),
        Finding::Policy { place, chain, policy, system } => (
            format!("{} {chain}: policy {policy}", table(place)),
            format!(
                "The chains of {0} are there, and {0} sets this policy to DROP unless it is configured otherwise. A restore of a \
                 print with another policy resets it. Packets that no rule matches are accepted.",
                name(system.name.as_deref())
            ),
        ),
        Finding::Incompatible { place } => (
            format!("{}: incompatible", table(place)),
            "The iptables that printed this cannot read the table: nft or a newer iptables wrote a rule into it. If a program \
             restores this print, it deletes the whole table."
                .to_owned(),
        ),
        Finding::TwoBackends => (
            "rules under two backends".to_owned(),
            "iptables-nft and iptables-legacy both hold tables. Packets pass through both. Each program sees and changes only the \
             tables of its own backend."
                .to_owned(),
        ),
    }
}

/// What was done to the rule: `the reader drops `-m mark``.
fn done(damage: &Damage) -> String {
    let parts = damage.worst_of_parts().map(|Caused { harm, .. }| Parts {
        lost: &harm.lost,
        altered: &harm.altered,
        added: &harm.added,
    });
    let done = parts.and_then(Parts::done);
    format!(
        "the reader {}",
        done.as_deref().unwrap_or("changes the rule")
    )
}

fn of_damage(damaged: &Damaged) -> String {
    let damage = &damaged.damage;
    let mut meant = damaged.meant.iter();
    let first = meant
        .next()
        .map(String::as_str)
        .or(damage.written.as_deref());
    let others = meant.len();
    let of = match (first, others) {
        (Some(first), 0) => format!("`{first}`"),
        (Some(first), others) => format!("`{first}` or of {others} other rules"),
        (None, _) => "another rule".to_owned(),
    };
    let who = damaged.system.name.as_deref().unwrap_or(&damage.scenario);
    let said = match damaged.likeness {
        Likeness::Same => format!(
            "`{}` is what a reader leaves of {who}'s rule {of}.",
            damaged.rule.text
        ),
        Likeness::Alike => format!(
            "`{}` looks like what a reader leaves of a rule of {who}, such as {of}.",
            damaged.rule.text
        ),
    };
    let consequence = damage.consequence().map_or_else(String::new, |of| {
        format!(" Effect: {of} ({}).", wording::consequence_meaning(of))
    });
    let beside = match damaged.stands_beside {
        true => " The whole rule stands in the same chain: its program added it again.",
        false => "",
    };
    let causes = causes_of(damage);
    let causes: Vec<&str> = causes
        .iter()
        .flat_map(|of| of.iter().map(String::as_str))
        .collect();
    let causes = match causes.is_empty() {
        true => String::new(),
        false => format!(" Cause: {}.", causes.join(", ")),
    };
    format!("{said}{consequence}{beside}{causes}")
}

/// The names of what a damaged rule comes of; none where that is not known.
pub(super) fn causes_of(damage: &Damage) -> Option<&BTreeSet<String>> {
    damage.worst_of_parts().map(|of| &of.causes)
}

/// The causes of all damaged rules, a paragraph each.
fn causes(diagnosis: &Diagnosis, width: usize) -> String {
    let damaged = diagnosis.findings.iter().filter_map(|of| match of {
        Finding::Damaged(damaged) => causes_of(&damaged.damage),
        _ => None,
    });
    let names: BTreeSet<&str> = damaged.flatten().map(String::as_str).collect();
    let said = wording::causes_named(&names);
    let said = said.iter().map(|said| paragraph(said, width));
    said.map(|said| format!("\n{said}")).collect()
}

fn table(place: &Place) -> String {
    let family = place
        .family
        .map_or_else(String::new, |family| format!(" ({family})"));
    format!("{}{family}", place.table)
}

fn name(system: Option<&str>) -> &str {
    system.unwrap_or("the system")
}

fn of_likely(likely: &Likely) -> String {
    format!(
        "Likely: {} wrote the rules, and {} read them and wrote them back. That explains {}. Use one release for both, the \
         newer one.",
        builds(&likely.writers),
        builds(&likely.readers),
        counted(likely.explained, "damaged line"),
    )
}

fn repair(diagnosis: &Diagnosis, width: usize) -> String {
    let repair = &diagnosis.repair;
    let mut text = String::new();
    if !repair.commands.is_empty() {
        let heading = "# All of these, in this order, before anything else changes the rules:";
        let _ = writeln!(text, "{}", paint(ASIDE, heading));
        for command in &repair.commands {
            let _ = writeln!(text, "{}", inert(&shell_line(command)));
        }
    }
    for step in sentences(&repair.steps) {
        let _ = write!(text, "{}", paragraph(&step, width));
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{}\n{text}", paint(HEADING, "Repair")),
    }
}

/// A command as a shell takes it.
pub(super) fn shell_line(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// What people do, a sentence a step; what is done the same way of several systems together.
pub(super) fn sentences(steps: &BTreeSet<Step>) -> Vec<String> {
    let mut by_how: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut said = Vec::new();
    for step in steps {
        match step {
            Step::PrintAnew { by } => said.push(format!(
                "iptables {by} printed this. It prints undamaged rules like this too, so the kernel may still hold the whole rules. \
                 Print them with a newer release, and diagnose that print.",
            )),
            Step::SayFamily => said.push(
                "The print does not say whether these are IPv4 or IPv6 rules. Name them with --family to get commands.".to_owned(),
            ),
            Step::WriteAgain { system, how } => {
                let systems = by_how.entry(how.as_deref().unwrap_or_default()).or_default();
                systems.push(name(system.as_deref()));
            }
            Step::LookWithNft { family, table } => {
                let family = family.map_or("ip", nft_family);
                said.push(format!("See what the table really holds: nft list table {family} {table}"));
            }
            Step::LookAtBothBackends => said.push(
                "See what each backend holds: iptables-legacy-save, ip6tables-legacy-save, iptables-nft-save, ip6tables-nft-save. \
                 Then find the program that writes into each, and let all use one."
                    .to_owned(),
            ),
        }
    }
    for (how, systems) in by_how {
        let systems: BTreeSet<&str> = systems.into_iter().collect();
        let systems: Vec<&str> = systems.into_iter().collect();
        let systems = systems.join(" and ");
        said.push(match how {
            "" => format!("Let {systems} write the rules again, with an iptables that all readers on this node understand."),
            how => {
                let mut how = how.to_owned();
                if let Some(first) = how.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                format!("{how}, so that {systems} writes its rules again. First give it an iptables that all readers understand.")
            }
        });
    }
    said
}
