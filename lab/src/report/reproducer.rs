//! `reproduce.sh`: a loss as a script that stands alone, for who has two binaries and no lab.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::show::commands::{image, shell_word};
use super::terminal::inert;
use crate::agent::protocol::Text;
use crate::catalog::{Build, Family, Tool};
use crate::evidence::{Damaged, Loss, LossKind};
use crate::judge::RuleVerdict;
use crate::plan::command;
use crate::plan::step::{Role, RuleSet};
use crate::recording::{LoadRecord, Seen};
use crate::scenario::{Scenario, Setup};

/// What stands before the rules: how builds are named, found and run.
const BUILDS: &str = include_str!("reproduce.sh");
/// What stands after the rules: the reader's rewrite, and whether the loss is there.
const REWRITE: &str = include_str!("reproduce-judge.sh");

/// What a script is made of.
#[derive(Debug, Clone, Copy)]
pub struct Reproducer<'a> {
    /// What it shows.
    pub loss: &'a Loss,
    /// The least rules.
    pub scenario: &'a Scenario,
    /// Which of its families.
    pub family: Family,
    /// Who writes.
    pub writer: &'a Build,
    /// Who reads.
    pub reader: &'a Build,
    /// The rule or chain that suffers.
    pub damaged: Damaged<'a>,
    /// What was seen of the least rules.
    pub load: &'a LoadRecord,
}

/// The script.
pub fn render(made_of: Reproducer<'_>) -> String {
    let Reproducer {
        loss,
        family,
        writer,
        reader,
        ..
    } = made_of;
    let words = one_line(&loss.in_words());
    let mut script = format!(
        "#!/bin/sh\n# {words}: {} writes, {} reads. Made by iptables-lab {}.\n#\n",
        writer.id,
        reader.id,
        env!("CARGO_PKG_VERSION")
    );
    // The header's own comment comes first, what it refers to after it.
    let (about, rest) = BUILDS.split_at(BUILDS.find("set -u\n").unwrap_or(0));
    script.push_str(about);
    let named = |name: &str, place: usize, build: &Build| {
        let image = shell_word(&format!("image:iptables-lab/{}", image(&build.id)));
        format!("{name}=${{{place}:-${{{name}:-{image}}}}}\n")
    };
    let (chain, lost) = match made_of.damaged {
        Damaged::Chain(of) => (of.chain.as_str(), String::new()),
        Damaged::Rule(rule) => (&*rule.chain, lost_expressions(rule)),
    };
    let _ = write!(
        script,
        "LOSS={}\nLOSS_KIND={}\nCHAIN={}\nLOST_EXPRESSIONS={}\nIPTABLES={}\nWRITER_NAME={}\nWRITER_PROGRAM={}\n\
         READER_PROGRAM={}\n{}{}",
        shell_word(&words),
        loss.kind.as_str(),
        shell_word(chain),
        shell_word(&lost),
        family.command(),
        match writer.tool {
            Tool::Iptables => family.command(),
            Tool::Nft => "nft",
        },
        program(writer),
        program(reader),
        named("WRITER", 1, writer),
        named("READER", 2, reader)
    );
    script.push_str(rest);
    script.push_str(&sets(made_of));
    script.push_str(&writes(made_of));
    match (loss.kind, made_of.damaged) {
        (LossKind::NotFound | LossKind::FoundWrong, Damaged::Rule(rule)) => {
            script.push_str(&lookup(made_of, rule));
        }
        _ => script.push_str(REWRITE),
    }
    script
}

/// The binary that a build is run by.
fn program(build: &Build) -> String {
    match build.tool {
        Tool::Iptables => format!("xtables-{}-multi", build.backend),
        Tool::Nft => "nft".to_owned(),
    }
}

/// The kinds of the kernel's expressions that a rule has lost: `lookup`. None where its text says what is lost.
fn lost_expressions(rule: &RuleVerdict) -> String {
    let lost = rule.lost.iter().map(|change| change.part.as_str());
    let kinds: BTreeSet<&str> = lost
        .filter_map(|part| part.strip_prefix("expression "))
        .collect();
    kinds.into_iter().collect::<Vec<_>>().join(" ")
}

/// The IP sets that the rules name, made with ipset.
fn sets(made_of: Reproducer<'_>) -> String {
    let Setup { sets, .. } = &made_of.scenario.setup;
    let rules = made_of.scenario.ruleset(made_of.family).to_string();
    let named = sets.iter().filter(|set| rules.contains(&set.name));
    let mut script = String::new();
    for set in named {
        if script.is_empty() {
            script.push_str(
                "command -v ipset >/dev/null || cannot \"it takes ipset\"\n\
                 uses_docker && cannot \"the rules need IP sets: name both builds by path\"\n",
            );
        }
        let family = match set.family {
            Family::Ipv4 => "inet",
            Family::Ipv6 => "inet6",
        };
        let (name, kind) = (shell_word(&set.name), set.kind.as_str());
        let options = set.kind.create_options(family);
        let _ = writeln!(
            script,
            "ipset create {name} {kind}{options} || cannot \"the set {name} cannot be made\""
        );
        for entry in &set.entries {
            let _ = writeln!(script, "ipset add {name} {entry}");
        }
    }
    script
}

fn writes(made_of: Reproducer<'_>) -> String {
    let Reproducer {
        scenario,
        family,
        writer,
        ..
    } = made_of;
    let all = RuleSet::first(scenario.rule_count(family));
    let commands = command::write(writer, family, scenario, scenario.write, &all);
    let mut script = "# The writer writes.\n".to_owned();
    for (argv, stdin) in commands {
        let words: Vec<String> = argv.iter().skip(1).map(|word| shell_word(word)).collect();
        let program = argv.first().map_or("", String::as_str);
        let program = program.replacen(&format!("-{}", writer.backend), "", 1);
        let command = [format!("writer {program}")].into_iter().chain(words);
        let command = command.collect::<Vec<_>>().join(" ");
        let refused = "|| cannot \"the writer does not take the rules\"";
        match stdin {
            Some(Text(bytes)) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let _ = writeln!(script, "{command} <<'END' {refused}\n{text}END");
            }
            None => {
                let _ = writeln!(script, "{command} {refused}");
            }
        }
    }
    script
}

/// The reader's `-C`, of the rule or of the near miss that it found.
fn lookup(made_of: Reproducer<'_>, rule: &RuleVerdict) -> String {
    let Reproducer { loss, load, .. } = made_of;
    let role = match loss.kind {
        LossKind::FoundWrong => Role::CheckNearMiss,
        _ => Role::Check,
    };
    let place = made_of
        .scenario
        .placed_rules(made_of.family)
        .find(|(_, table, of)| {
            *table == &*rule.table && of.chain == *rule.chain && of.text == rule.given
        })
        .map(|(place, ..)| place + 1);
    let asked = load.observations.iter().find_map(|seen| match &seen.seen {
        Seen::Command(command) if seen.role == role && seen.rule == place => Some(&command.argv),
        _ => None,
    });
    let words = asked.into_iter().flatten().skip(1);
    let words: Vec<String> = words.map(|word| shell_word(word)).collect();
    let (found, absent) = match loss.kind {
        LossKind::FoundWrong => ("lost", "gone"),
        _ => ("gone", "lost"),
    };
    format!(
        "\nwriter_prints >\"$keep/written.save\" || cannot \"the writer cannot print what it wrote\"\n\
         listing nft-before.txt\n\n\
         # The reader asks for the rule{}.\nreader \"$IPTABLES\" {}\ncase $? in\n  0) {found} ;;\n  1) {absent} ;;\n  \
         *) cannot \"the reader does not take the question\" ;;\nesac\n",
        match loss.kind {
            LossKind::FoundWrong => " with one value changed: it is not there",
            _ => " that is there",
        },
        words.join(" ")
    )
}

/// Text that stands in one line of a comment, whatever is in it.
fn one_line(text: &str) -> String {
    inert(text).replace(['\n', '\t'], " ")
}
