//! A diagnosis of a node's rules, as terminal text, with the commands that repair them.

use std::fmt::Write;

use super::show::commands::shell_word;
use super::terminal::{ASIDE, HEADING, inert, paint, style, wrap};
use crate::advice::{Diagnosis, Finding, Likeness};
use crate::catalog::Family;
use crate::judge::verdict::Verdict;
use crate::ruleset::tokens;

/// The page. `basis` says what the rules were compared with, `family` whose commands repair what is of no known family.
pub fn render(diagnosis: &Diagnosis, basis: &str, family: Option<Family>, width: usize) -> String {
    let mut page = String::new();
    for line in wrap(&inert(basis), width) {
        let _ = writeln!(page, "{line}");
    }
    if diagnosis.findings.is_empty() {
        page.push_str(
            "\nNothing matches: no line looks like what a reader is known to make of a known system's rule, no rule is there \
             three times, no policy of a known system was reset, and nothing shows a second backend.\n",
        );
        return page;
    }
    for finding in &diagnosis.findings {
        page.push_str(&of_finding(finding, width));
    }
    page.push_str(&likely(diagnosis, width));
    page.push_str(&repair(diagnosis, family.unwrap_or(Family::Ipv4)));
    page
}

fn of_finding(finding: &Finding, width: usize) -> String {
    let (title, said) = match finding {
        Finding::Damaged {
            table,
            rule,
            index,
            damage,
            likeness,
        } => {
            let consequence = damage
                .consequence()
                .map_or_else(String::new, |of| format!(" {of}: {}.", of.meaning()));
            let written = damage.written.as_deref().unwrap_or("a rule");
            let said = match likeness {
                Likeness::Same => format!("is what is left of `{written}` ({})", damage.scenario),
                Likeness::Alike => {
                    format!("looks like what is left of a rule such as `{written}` ({})", damage.scenario)
                }
            };
            (
                format!("{table} {} {index}: {}", rule.chain, damage.what()),
                format!("`{}` {said}.{consequence}", rule.text),
            )
        }
        Finding::Repeated {
            table,
            rule,
            indices,
        } => (
            format!("{table} {}: the same rule {} times", rule.chain, indices.len()),
            format!(
                "`{}`. Who does not find its rule any more, as another build rewrote it, adds it again each time.",
                rule.text
            ),
        ),
        Finding::Policy {
            table,
            chain,
            policy,
            scenario,
        } => (
            format!("{table} {chain}: policy {policy}"),
            format!(
                "The chains of `{scenario}` are there, and that system sets the policy to DROP. A restore of a print without the \
                 table, or with another policy, resets it. Packets that no rule meets are let through."
            ),
        ),
        Finding::Incompatible { table } => (
            format!("{table}: incompatible"),
            "The build that printed this cannot read the table: a newer build or nft wrote something into it. If it restores its \
             own print, the whole table goes."
                .to_owned(),
        ),
        Finding::TwoBackends => (
            "rules under two backends".to_owned(),
            "iptables-nft and iptables-legacy both hold tables. Packets pass both; each tool sees and changes only its own."
                .to_owned(),
        ),
    };
    let mut text = format!("\n{}\n", paint(style(Verdict::Lossy), inert(&title)));
    for line in wrap(&inert(&said), width.saturating_sub(2)) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn likely(diagnosis: &Diagnosis, width: usize) -> String {
    let Some(likely) = &diagnosis.likely else {
        return String::new();
    };
    let mut said = format!(
        "Likely: {} wrote the rules, and {} read them and wrote back what it had read ({} of the damaged lines are what such a pair \
         leaves). Give both the same release, the newer one.",
        likely.writers, likely.readers, likely.explained
    );
    if let Some(by) = &diagnosis.printed_by {
        let _ = write!(
            said,
            " This was printed by {by}: if that is one of the readers named here, the kernel may still hold the rules as they were \
             written, and only this print shows them so; print them with a newer build before you repair anything."
        );
    }
    format!("\n{}\n", wrap(&inert(&said), width).join("\n"))
}

/// Commands, the last places first, so that earlier places stay what they are.
fn repair(diagnosis: &Diagnosis, family: Family) -> String {
    let mut commands = Vec::new();
    let mut by_system = false;
    for finding in diagnosis.findings.iter().rev() {
        match finding {
            Finding::Damaged {
                table,
                rule,
                index,
                damage,
                likeness: Likeness::Same,
            } => match damage.written.as_deref().map(tokens::split) {
                Some(Ok(written)) => {
                    let words = written.iter().skip(2).map(|token| shell_word(&token.text));
                    let words: Vec<String> = words.collect();
                    let command = damage.family.command();
                    let chain = shell_word(&rule.chain);
                    let table = shell_word(table);
                    commands.push(format!(
                        "{command} -t {table} -R {chain} {index} {}",
                        words.join(" ")
                    ));
                }
                _ => by_system = true,
            },
            Finding::Damaged { .. } => by_system = true,
            Finding::Repeated {
                table,
                rule,
                indices,
            } => {
                let (table, chain) = (shell_word(table), shell_word(&rule.chain));
                for index in indices.iter().skip(1).rev() {
                    let command = family.command();
                    commands.push(format!("{command} -t {table} -D {chain} {index}"));
                }
            }
            Finding::Policy { table, chain, .. } => {
                let (table, chain) = (shell_word(table), shell_word(chain));
                commands.push(format!("{} -t {table} -P {chain} DROP", family.command()));
            }
            Finding::Incompatible { .. } | Finding::TwoBackends => {}
        }
    }
    let mut text = String::new();
    if !commands.is_empty() {
        let heading = "# with the newest iptables on the node, of the backend that holds the rules, in this order:";
        let _ = writeln!(text, "\n{}", paint(ASIDE, heading));
        for command in commands {
            let _ = writeln!(text, "{}", inert(&command));
        }
    }
    if by_system {
        text.push_str(
            "\nThe other lines need values that are lost: have their system write them again, with a build that all readers \
             understand (restart kubelet, kube-proxy or the CNI's pod on this node).\n",
        );
    }
    let has = |finding: &Finding| diagnosis.findings.contains(finding);
    if has(&Finding::TwoBackends) {
        let heading =
            "# see what each backend holds; flush the one that nobody on this node uses any more:";
        let _ = writeln!(text, "\n{}", paint(ASIDE, heading));
        text.push_str(
            "iptables-legacy-save; ip6tables-legacy-save\niptables-nft-save; ip6tables-nft-save\n",
        );
    }
    if diagnosis
        .findings
        .iter()
        .any(|of| matches!(of, Finding::Incompatible { .. }))
    {
        let _ = writeln!(
            text,
            "\n{}",
            paint(ASIDE, "# see what is really in the table:")
        );
        text.push_str("nft list ruleset\n");
    }
    match text.is_empty() {
        true => text,
        false => format!("\n{}{text}", paint(HEADING, "to repair it")),
    }
}
