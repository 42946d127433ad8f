//! The rules of a scenario in one family, in the language of the tool that writes them.

use super::commands::{Command, Program, Staying};
use super::fault::Fault;
use super::ruleset::Ruleset;
use super::write::Write;
use super::{iptables, nft};
use crate::catalog::{Family, Tool};

/// The rules of a scenario in one family, in the language of the tool that writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(Language);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Language {
    Iptables(Ruleset),
    Nft(nft::Script),
}

impl Given {
    /// Reads rules for `family` that `tool` is to write; the first thing that is wrong ends it.
    ///
    /// # Errors
    /// They are none that the tool takes, or none at all.
    pub fn parse(tool: Tool, family: Family, text: &str) -> Result<Given, Fault> {
        let rules = match tool {
            Tool::Iptables => Language::Iptables(iptables::parse_some(text)?),
            Tool::Nft => Language::Nft(nft::Script::parse(family, text)?),
        };
        Ok(Given(rules))
    }

    /// The tool whose language a text seems to be in: commands for nft, or else iptables-save's.
    pub fn tool_of(text: &str) -> Tool {
        let mut lines = text.lines().map(str::trim);
        let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
        let first = first.and_then(|line| line.split_whitespace().next());
        match first {
            Some("add" | "create" | "define" | "flush" | "include" | "table") => Tool::Nft,
            _ => Tool::Iptables,
        }
    }

    /// The family of a text whose addresses and commands say nothing of it: that of the first table that nft's commands add, or that
    /// its listing has.
    pub fn family_of(text: &str) -> Family {
        let mut lines = text.lines().map(|line| line.split_whitespace());
        let adds_table = |words: &mut std::str::SplitWhitespace<'_>| match words.next() {
            Some("add") => words.next() == Some("table"),
            first => first == Some("table"),
        };
        let table = lines.find_map(|mut words| adds_table(&mut words).then_some(words));
        match table.and_then(|mut words| words.next()) {
            Some("ip6") => Family::Ipv6,
            _ => Family::Ipv4,
        }
    }

    /// The tool that writes them.
    pub fn tool(&self) -> Tool {
        match &self.0 {
            Language::Iptables(_) => Tool::Iptables,
            Language::Nft(_) => Tool::Nft,
        }
    }

    /// Its tables, chains and rules.
    pub fn ruleset(&self) -> &Ruleset {
        match &self.0 {
            Language::Iptables(ruleset) => ruleset,
            Language::Nft(script) => &script.ruleset,
        }
    }

    /// The text of only those rules whose place is kept, with all that they stand in. Places are counted over all tables, from
    /// 0, in the order of the text.
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> String {
        match &self.0 {
            Language::Iptables(ruleset) => ruleset.only(keep).to_string(),
            Language::Nft(script) => script.only(keep),
        }
    }

    /// The commands with which `program` writes only those rules, in the way of `how`.
    pub fn commands(
        &self,
        program: Program,
        how: Write,
        keep: impl Fn(usize) -> bool,
    ) -> Vec<Command> {
        match &self.0 {
            Language::Iptables(ruleset) => iptables::write(program, how, &ruleset.only(keep)),
            Language::Nft(script) => nft::write(program, script.written(how, keep)),
        }
    }

    /// The command that writes only those rules, in the way of `how`, and stays; none where their tool has no program that does.
    pub fn staying(&self, how: Write, keep: impl Fn(usize) -> bool) -> Option<Staying> {
        match &self.0 {
            Language::Iptables(_) => None,
            Language::Nft(script) => Some(nft::stay(&script.written(how, keep))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Backend;

    #[test]
    fn nft_is_given_the_chosen_rules_and_all_that_they_need() {
        let text =
            "add table ip t\nadd chain ip t c\nadd rule ip t c accept\nadd rule ip t c drop\n";
        let given = Given::parse(Tool::Nft, Family::Ipv4, text).expect("commands");
        let program = Program {
            backend: Backend::Nft,
            family: Family::Ipv4,
        };
        let commands = given.commands(program, Write::Nft, |rule| rule == 1);
        let [(argv, Some(stdin))] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert_eq!(argv.join(" "), "nft -f -");
        let expected = "add table ip t\nadd chain ip t c\nadd rule ip t c drop\n";
        assert_eq!(stdin.to_lossy(), expected);
        let commands = given.commands(program, Write::NftInsert, |_| true);
        let [(_, Some(stdin))] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        let expected = "add table ip t\nadd chain ip t c\ninsert rule ip t c drop\ninsert rule ip t c accept\n";
        assert_eq!(stdin.to_lossy(), expected, "the last one goes in first");
        let staying = given.staying(Write::Nft, |rule| rule == 1).expect("nft's");
        assert_eq!(staying.argv.join(" "), "nft -i");
        let expected = "add table ip t; add chain ip t c; add rule ip t c drop\n\
            list table ip iptables-lab-is-through\n";
        assert_eq!(staying.stdin.to_lossy(), expected);
        assert!(
            staying
                .stdin
                .to_lossy()
                .ends_with(&format!("{}\n", staying.through.line))
        );
    }
}
