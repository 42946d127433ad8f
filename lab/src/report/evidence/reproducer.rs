//! `reproduce.sh`: a loss as a script that stands alone, for who has two binaries and no lab.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::super::show::commands::{end_of, shell_word};
use super::super::terminal::inert;
use super::title::title;
use crate::catalog::{Build, Family, Tool, repository};
use crate::evidence::{Damaged, Loss, LossKind};
use crate::judge::RuleVerdict;
use crate::plan::Operation;
use crate::plan::procedure::OWN_CHAIN;
use crate::plan::step::Role;
use crate::recording::{LoadRecord, Seen};
use crate::scenario::{Scenario, Setup};
use crate::tool::Program;
use crate::tool::iptables::{first_hook, known_tables, stem};

/// What stands before the rules: how builds are named, found and run.
const BUILDS: &str = include_str!("reproduce.sh");
/// What stands after the rules: what the reader restores, and whether the loss is there.
const REWRITE: &str = include_str!("reproduce-judge.sh");
/// What stands there instead where the reader deletes: what is left.
const DELETE: &str = include_str!("reproduce-delete.sh");
/// What stands there instead where a command of the reader's does not end well.
const COMMAND: &str = include_str!("reproduce-command.sh");
/// What stands there instead where a reader of the other backend writes the rules, too.
const REASSERT: &str = include_str!("reproduce-reassert.sh");

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
    let words = one_line(&title(loss));
    let mut script = format!(
        "#!/bin/sh\n# {words}: {} writes, {} reads. Made by iptables-lab {}.\n#\n",
        writer.id,
        reader.id,
        env!("CARGO_PKG_VERSION")
    );
    // The header's own comment comes first, what it refers to after it.
    let (about, rest) = BUILDS.split_at(BUILDS.find("set -u\n").unwrap_or(0));
    let binary = |build: &Build| build.tool.commands().binary(build.backend);
    let about = about.replace(
        "COMPILE_WRITER",
        &compile(writer.tool).replace(" --disable-connlabel", " \\\n#     --disable-connlabel"),
    );
    let about = about.replace("WRITER_PROGRAM", &binary(writer));
    script.push_str(&about.replace("READER_PROGRAM", &binary(reader)));
    let of_lab = |build: &Build| format!("image:{}", repository(build.id.image()));
    let _ = writeln!(
        script,
        "# Where the lab made its container images: ./reproduce.sh {} {}",
        of_lab(writer),
        of_lab(reader)
    );
    let (seen_at, chain, lost) = match made_of.damaged {
        Damaged::Chain(of) => ("chain", of.chain.as_str(), String::new()),
        Damaged::Rule(rule) => ("rule", &*rule.chain, lost_expressions(rule)),
    };
    let _ = write!(
        script,
        "LOSS={}\nLOSS_KIND={}\nOPERATION={}\nSPARES_REWRITE={}\nSEEN_AT={seen_at}\nCHAIN={}\nLOST_EXPRESSIONS={}\nOWN_CHAIN={}\nIPTABLES={}\nWRITER_NAME={}\nREADER_NAME={}\nWRITER_PROGRAM={}\n\
         READER_PROGRAM={}\nWRITER=${{1:-${{WRITER:-}}}}\nREADER=${{2:-${{READER:-}}}}\n",
        shell_word(&words),
        loss.kind().as_str(),
        loss.harm.operation,
        if loss.spares_rewrite { "1" } else { "" },
        shell_word(chain),
        shell_word(&lost),
        // Names that only a sync has.
        match loss.harm.operation {
            Operation::Sync | Operation::SyncNoflush => own_chains(made_of),
            _ => "''".to_owned(),
        },
        stem(family),
        writer.tool.commands().stem(family),
        reader.tool.commands().stem(family),
        binary(writer),
        binary(reader),
    );
    script.push_str(rest);
    script.push_str(&sets(made_of));
    script.push_str("# The writer writes.\n");
    let refused = "cannot \"the writer does not take the rules\"";
    script.push_str(&writes(made_of, (writer, "writer"), refused));
    match (loss.kind(), made_of.damaged) {
        (LossKind::NotFound | LossKind::FoundWrong, Damaged::Rule(rule)) => {
            script.push_str(&lookup(made_of, rule));
        }
        (LossKind::WrongRule | LossKind::NotDeleted, Damaged::Rule(rule)) => {
            script.push_str(&delete(made_of, rule));
        }
        (_, damaged) => script.push_str(&after(made_of, damaged)),
    }
    // Who looks at it before running it looks in a terminal.
    inert(&script)
}

/// The commands that compile a source tree of a tool in it.
pub(super) fn compile(tool: Tool) -> &'static str {
    match tool {
        Tool::Iptables => {
            "./autogen.sh && ./configure --disable-shared --enable-static --disable-connlabel && make -j2"
        }
        Tool::Nft => "./autogen.sh && ./configure --disable-man-doc --without-cli && make -j2",
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

/// The commands with which a build writes the rules, in its role; `refused` is done where it does not take one.
fn writes(made_of: Reproducer<'_>, (build, role): (&Build, &str), refused: &str) -> String {
    let Reproducer {
        scenario, family, ..
    } = made_of;
    let (given, program) = (scenario.rules.get(&family), Program::of(build, family));
    let commands = given.map_or_else(Vec::new, |given| {
        given.commands(program, scenario.write, |_| true)
    });
    let mut script = String::new();
    for (argv, stdin) in commands {
        let words: Vec<String> = argv.iter().skip(1).map(|word| shell_word(word)).collect();
        let program = argv.first().map_or("", String::as_str);
        let program = program.replacen(&format!("-{}", build.backend), "", 1);
        let command = [format!("{role} {program}")].into_iter().chain(words);
        let command = command.collect::<Vec<_>>().join(" ");
        match stdin {
            Some(text) => {
                let text = text.to_lossy().into_owned();
                let end = end_of(&text);
                let _ = writeln!(script, "{command} <<'{end}' || {refused}\n{text}{end}");
            }
            None => {
                let _ = writeln!(script, "{command} || {refused}");
            }
        }
    }
    script
}

/// What the reader does then, and whether the loss is there.
fn after(made_of: Reproducer<'_>, damaged: Damaged<'_>) -> String {
    let asks = |rule: &RuleVerdict, role| {
        let words = asked(made_of, rule, role);
        (!words.is_empty()).then(|| format!("reader \"$IPTABLES\" {words}"))
    };
    match (made_of.loss.harm.operation, damaged) {
        (Operation::Check, Damaged::Rule(rule)) => {
            let asked = [Role::Check, Role::CheckNearMiss].map(|role| asks(rule, role));
            command_that_fails(asked.into_iter().flatten())
        }
        (Operation::Delete, Damaged::Rule(rule)) => command_that_fails(asks(rule, Role::Delete)),
        (Operation::List, Damaged::Rule(rule)) => {
            let Reproducer { reader, family, .. } = made_of;
            let commands = reader.tool.commands();
            let lists = commands.lists(Program::of(reader, family), &rule.table);
            command_that_fails(lists.into_iter().map(|(_, argv)| {
                let words: Vec<String> = argv.iter().skip(1).map(|word| shell_word(word)).collect();
                format!("reader \"$READER_NAME\" {}", words.join(" "))
            }))
        }
        (Operation::Reassert, Damaged::Rule(rule)) => format!(
            "writer_prints >\"$keep/written.save\" || cannot \"the writer cannot print what it wrote\"\n\
             # The reader does not see these rules, and writes its own.\nrefused=\n{}RULES={}\n{REASSERT}",
            writes(made_of, (made_of.reader, "reader"), "refused=1"),
            made_of
                .scenario
                .placed_rules(made_of.family)
                .filter(|(_, table, of)| *table == &*rule.table && of.chain == *rule.chain)
                .count(),
        ),
        _ => REWRITE.to_owned(),
    }
}

/// Commands of the reader's, one of which does not end as it should.
fn command_that_fails(commands: impl IntoIterator<Item = String>) -> String {
    let runs = commands
        .into_iter()
        .map(|command| format!("try {command}\n"));
    format!("{COMMAND}{}gone\n", runs.collect::<String>())
}

/// The reader's `-C`, of the rule or of the near miss that it found.
fn lookup(made_of: Reproducer<'_>, rule: &RuleVerdict) -> String {
    let (role, found, absent) = match made_of.loss.kind() {
        LossKind::FoundWrong => (Role::CheckNearMiss, "lost", "gone"),
        _ => (Role::Check, "gone", "lost"),
    };
    format!(
        "\nwriter_prints >\"$keep/written.save\" || cannot \"the writer cannot print what it wrote\"\n\
         listing nft-before.txt\n\n\
         # The reader asks for the rule{}.\nreader \"$IPTABLES\" {}\ncase $? in\n  0) {found} ;;\n  1) {absent} ;;\n  \
         *) cannot \"the reader does not take the question\" ;;\nesac\n",
        match made_of.loss.kind() {
            LossKind::FoundWrong => " with one value changed: it is not there",
            _ => " that is there",
        },
        asked(made_of, rule, role)
    )
}

/// The reader's `-D` of the rule, and what is left.
fn delete(made_of: Reproducer<'_>, rule: &RuleVerdict) -> String {
    format!(
        "TABLE={}\nINDEX={}\ndeletes() {{ reader \"$IPTABLES\" {}; }}\n{DELETE}",
        shell_word(&rule.table),
        rule.index,
        asked(made_of, rule, Role::Delete)
    )
}

/// What the reader was asked with the rule, as words for a shell. Of several times the last one counts.
fn asked(made_of: Reproducer<'_>, rule: &RuleVerdict, role: Role) -> String {
    let Reproducer { load, .. } = made_of;
    let place = made_of
        .scenario
        .placed_rules(made_of.family)
        .find(|(_, table, of)| {
            *table == &*rule.table && of.chain == *rule.chain && of.text == rule.given
        })
        .map(|(place, ..)| place + 1);
    let mut asked = load
        .observations
        .iter()
        .filter_map(|seen| match &seen.seen {
            Seen::Command(command) if seen.role == role && seen.rule == place => {
                Some(&command.argv)
            }
            _ => None,
        });
    let words = asked.next_back().into_iter().flatten().skip(1);
    let words: Vec<String> = words.map(|word| shell_word(word)).collect();
    words.join(" ")
}

/// The chain that a reader adds as its own, where it hangs in which table, and which of the scenario's chains it owns.
fn own_chains(made_of: Reproducer<'_>) -> String {
    let tables = &made_of.scenario.ruleset(made_of.family).tables;
    let hooks =
        known_tables(tables).map(|table| format!("{}:{}", table.name, first_hook(&table.name)));
    let hooks: Vec<String> = hooks.collect();
    format!(
        "{}\nHOOKS={}\nOWNED={}",
        shell_word(OWN_CHAIN),
        shell_word(&hooks.join(" ")),
        shell_word(&made_of.scenario.own_chains.join(" "))
    )
}

/// Text that stands in one line of a comment, whatever is in it.
fn one_line(text: &str) -> String {
    inert(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use rstest::rstest;

    use super::*;
    use crate::observed::Text;
    use crate::tool::Component;
    use crate::tool::iptables::parse;

    /// What one of the script's functions makes of a print.
    fn in_shell(function: &str, saved: &str) -> String {
        let (_, functions) = REWRITE.split_once("# What a component adds").unwrap();
        let (functions, _) = functions.split_once("# The reader saves").unwrap();
        let script = format!(
            "OWN_CHAIN={OWN_CHAIN}\nHOOKS='filter:INPUT nat:PREROUTING'\nOWNED='KUBE-FIREWALL OWN'\n#{functions}\n{function}"
        );
        let mut shell = Command::new("sh")
            .args(["-euc", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin.write_all(saved.as_bytes()).unwrap();
        drop(stdin);
        String::from_utf8(shell.wait_with_output().unwrap().stdout).unwrap()
    }

    const BOTH: &str = "*filter\n:INPUT ACCEPT [0:0]\n:KUBE-FIREWALL - [0:0]\n-A INPUT -j KUBE-FIREWALL\n\
        -A KUBE-FIREWALL -m comment --comment \"a b\" -j DROP\nCOMMIT\n# a comment\n\
        *nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n";
    const FILTER: &str =
        "*filter\n:INPUT ACCEPT [0:0]\n:OWN - [0:0]\n-A OWN -j DROP\n-A INPUT -j OWN\nCOMMIT\n";

    #[rstest]
    #[case::both_tables(BOTH)]
    #[case::one_of_two(FILTER)]
    #[case::another_table("*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j ACCEPT\nCOMMIT\n")]
    #[case::nothing("")]
    fn the_script_restores_what_the_lab_restores(#[case] saved: &str) {
        let tables =
            parse("*filter\n-A INPUT -j DROP\nCOMMIT\n*nat\n-A PREROUTING -j ACCEPT\nCOMMIT\n");
        let tables = tables.unwrap().tables;
        let text = Text::from(saved.to_owned());
        let dialect = Tool::Iptables.dialect();
        let owned = ["KUBE-FIREWALL".to_owned(), "OWN".to_owned()];
        let component = Component {
            family: Family::Ipv4,
            tables: &tables,
            owned: &owned,
            adds: OWN_CHAIN,
        };
        let of_lab = dialect.with_own_chain(&text, component).unwrap();
        assert_eq!(
            in_shell("with_own_chain -", saved).trim(),
            of_lab.to_lossy().trim()
        );
        let of_lab = dialect.own_chains(&text, component).unwrap();
        assert_eq!(in_shell("only_own_chains -", saved), of_lab.to_lossy());
    }

    #[test]
    fn the_own_chain_is_no_part_of_what_is_compared() {
        let saved = BOTH.replace("# a comment\n", "");
        let with = in_shell("with_own_chain -", &saved);
        assert!(with.contains(OWN_CHAIN));
        assert_eq!(
            in_shell(&format!("without_own_chain <<'END'\n{with}END"), ""),
            saved
        );
        let nft = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter;\n\t\tjump IPTABLES-LAB\n\
            \t\tdrop\n\t}\n\n\tchain IPTABLES-LAB {\n\t}\n}\n";
        let without = in_shell(&format!("without_own_chain <<'END'\n{nft}END"), "");
        assert!(
            !without.contains(OWN_CHAIN) && without.contains("\t\tdrop\n\t}\n"),
            "{without}"
        );
    }
}
