//! The commands of iptables: `iptables-nft-save`, `ip6tables-legacy-restore`, `iptables-nft -t filter -C …`.

use super::Iptables;
use crate::catalog::{Backend, Family, Tool};
use crate::tool::commands::{Argv, Command, Commands, ListedAs, NamedRule, PlainRule, Program};
use crate::tool::{Rule, Ruleset, Write};

/// Every built-in chain is named: what is not named is not made by the first restore, but by the second.
const PLAIN_RULE: PlainRule = PlainRule {
    text: "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n\
           -A INPUT -s 192.0.2.1/32 -j ACCEPT\nCOMMIT\n",
    line: "-A INPUT -s 192.0.2.1/32 -j ACCEPT",
    table: "filter",
    chain: "INPUT",
    words: "-s 192.0.2.1/32 -j ACCEPT",
};

/// The stem of a family's commands: `iptables` or `ip6tables`.
pub fn stem(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "iptables",
        Family::Ipv6 => "ip6tables",
    }
}

/// The program of a family and backend: `ip6tables-nft`.
fn named(program: Program) -> String {
    format!("{}-{}", stem(program.family), program.backend)
}

/// `iptables-nft-save -t TABLE`.
pub fn save_table(program: Program, table: &str) -> Argv {
    let mut argv = Iptables.print(program);
    argv.extend(["-t", table].map(str::to_owned));
    argv
}

/// `iptables-nft -t TABLE WORDS RULE`.
fn iptables(program: Program, table: &str, words: &[&str], rule: &[String]) -> Argv {
    let mut argv = vec![named(program), "-t".to_owned(), table.to_owned()];
    argv.extend(words.iter().map(|&word| word.to_owned()));
    argv.extend_from_slice(rule);
    argv
}

impl Commands for Iptables {
    fn stem(&self, family: Family) -> &'static str {
        stem(family)
    }

    fn program(&self, backend: Backend) -> String {
        format!("iptables-{backend}")
    }

    fn binary(&self, backend: Backend) -> String {
        format!("xtables-{backend}-multi")
    }

    fn has_backend(&self, _backend: Backend) -> bool {
        true
    }

    fn reads_unasked(&self, _writer: Tool) -> bool {
        true
    }

    fn witness(&self, _reader: Tool) -> Tool {
        Tool::Iptables
    }

    /// It takes rules about interfaces that are not there.
    fn needs_interfaces(&self) -> bool {
        false
    }

    fn at_once(&self) -> Write {
        Write::Restore
    }

    fn plain_rule(&self) -> PlainRule {
        PLAIN_RULE
    }

    /// `iptables-nft-save`.
    fn print(&self, program: Program) -> Argv {
        vec![format!("{}-save", named(program))]
    }

    /// `iptables-nft-save -c`.
    fn print_counted(&self, program: Program) -> Option<Argv> {
        let mut argv = self.print(program);
        argv.push("-c".to_owned());
        Some(argv)
    }

    /// `iptables-nft-restore`.
    fn load(&self, program: Program) -> Argv {
        vec![format!("{}-restore", named(program))]
    }

    /// `iptables-nft-restore --noflush`.
    fn load_beside(&self, program: Program) -> Option<Argv> {
        let mut argv = self.load(program);
        argv.push("--noflush".to_owned());
        Some(argv)
    }

    /// `iptables-nft -t TABLE -S` and `iptables-nft -t TABLE -L -n -v`.
    fn lists(&self, program: Program, table: &str) -> Vec<(ListedAs, Argv)> {
        let list = |words: &[&str]| iptables(program, table, words, &[]);
        vec![
            (ListedAs::Rules, list(&["-S"])),
            (ListedAs::Table, list(&["-L", "-n", "-v"])),
        ]
    }

    /// `iptables-nft -t TABLE -C CHAIN …`.
    fn check(&self, program: Program, rule: NamedRule<'_>) -> Option<Argv> {
        let NamedRule {
            table,
            chain,
            words,
        } = rule;
        Some(iptables(program, table, &["-C", chain], words))
    }

    /// `iptables-nft -t TABLE -D CHAIN …`.
    fn delete(&self, program: Program, rule: NamedRule<'_>) -> Option<Argv> {
        let NamedRule {
            table,
            chain,
            words,
        } = rule;
        Some(iptables(program, table, &["-D", chain], words))
    }
}

/// The commands that write `ruleset` in the way of `how`.
pub fn write(program: Program, how: Write, ruleset: &Ruleset) -> Vec<Command> {
    let whole = |argv| vec![(argv, Some(ruleset.to_string().into()))];
    match how {
        Write::Restore => whole(Iptables.load(program)),
        Write::RestoreNoflush => {
            let argv = Iptables.load_beside(program);
            argv.map_or_else(Vec::new, whole)
        }
        Write::Append => one_by_one(program, ruleset, "-A"),
        Write::Insert => one_by_one(program, ruleset, "-I"),
        Write::Nft | Write::NftInsert => Vec::new(),
    }
}

/// Chains and policies first, then a command a rule. Inserted rules go in last first, so that they end up in order.
fn one_by_one(program: Program, ruleset: &Ruleset, how: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    for table in &ruleset.tables {
        for chain in &table.chains {
            let words = match &chain.policy {
                Some(policy) => vec!["-P", &chain.name, policy],
                None => vec!["-N", &chain.name],
            };
            commands.push((iptables(program, &table.name, &words, &[]), None));
        }
        let rule = |rule: &Rule| {
            let (words, tokens) = ([how, &*rule.chain], rule.tokens().to_strings());
            (iptables(program, &table.name, &words, &tokens), None)
        };
        if how == "-I" {
            commands.extend(table.rules.iter().rev().map(rule));
        } else {
            commands.extend(table.rules.iter().map(rule));
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tool::iptables::parse;

    fn written(how: Write, rules: &[usize]) -> Vec<String> {
        let text = "*filter\n:INPUT DROP [0:0]\n:OWN - [0:0]\n-A INPUT -j OWN\n-A OWN -s 10.0.0.1 -j DROP\n\
                    -A OWN -j RETURN\nCOMMIT\n";
        let ruleset = parse(text).expect("a ruleset");
        let program = Program {
            backend: Backend::Nft,
            family: Family::Ipv4,
        };
        let commands = write(program, how, &ruleset.only(|rule| rules.contains(&rule)));
        let shown = |(argv, stdin): Command| match stdin {
            Some(stdin) => format!(
                "{} <<{}",
                argv.join(" "),
                stdin.to_lossy().replace('\n', "|")
            ),
            None => argv.join(" "),
        };
        commands.into_iter().map(shown).collect()
    }

    #[rstest]
    #[case(Write::Restore, &[0, 2], &["iptables-nft-restore <<*filter|:INPUT DROP [0:0]|:OWN - [0:0]|-A INPUT -j OWN|-A OWN -j RETURN|COMMIT|"])]
    #[case(Write::RestoreNoflush, &[0], &["iptables-nft-restore --noflush <<*filter|:INPUT DROP [0:0]|:OWN - [0:0]|-A INPUT -j OWN|COMMIT|"])]
    #[case(Write::Append, &[0, 1, 2], &[
        "iptables-nft -t filter -P INPUT DROP", "iptables-nft -t filter -N OWN", "iptables-nft -t filter -A INPUT -j OWN",
        "iptables-nft -t filter -A OWN -s 10.0.0.1 -j DROP", "iptables-nft -t filter -A OWN -j RETURN",
    ])]
    #[case(Write::Insert, &[1, 2], &[
        "iptables-nft -t filter -P INPUT DROP", "iptables-nft -t filter -N OWN", "iptables-nft -t filter -I OWN -j RETURN",
        "iptables-nft -t filter -I OWN -s 10.0.0.1 -j DROP",
    ])]
    fn rules_are_written_the_way_their_system_writes(
        #[case] write: Write,
        #[case] rules: &[usize],
        #[case] commands: &[&str],
    ) {
        assert_eq!(written(write, rules), commands);
    }
}
