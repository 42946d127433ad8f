//! The commands of nft.

use super::Nft;
use crate::catalog::{Backend, Family, Tool};
use crate::observed::{RulePlace, kernel_table};
use crate::tool::Write;
use crate::tool::commands::{
    Argv, Command, Commands, ListedAs, PlainRule, Program, Staying, Through,
};

const PLAIN_RULE: PlainRule = PlainRule {
    text: "add table ip lab\nadd chain ip lab c\nadd rule ip lab c ip saddr 192.0.2.1 accept\n",
    line: "ip saddr 192.0.2.1 accept",
    table: "lab",
    chain: "c",
    words: "ip saddr 192.0.2.1 accept",
};

impl Commands for Nft {
    fn stem(&self, _family: Family) -> &'static str {
        "nft"
    }

    fn program(&self, _backend: Backend) -> String {
        "nft".to_owned()
    }

    fn binary(&self, _backend: Backend) -> String {
        "nft".to_owned()
    }

    fn has_backend(&self, backend: Backend) -> bool {
        backend == Backend::Nft
    }

    /// Of what iptables wrote it takes apart so much that a run of all scenarios takes twice as long.
    fn reads_unasked(&self, writer: Tool) -> bool {
        writer == Tool::Nft
    }

    /// Of what another tool's reader made of its rules, that tool says more.
    fn witness(&self, reader: Tool) -> Tool {
        reader
    }

    /// Rules name interfaces by their number (`iif`).
    fn needs_interfaces(&self) -> bool {
        true
    }

    fn at_once(&self) -> Write {
        Write::Nft
    }

    fn plain_rule(&self) -> PlainRule {
        PLAIN_RULE
    }

    /// `nft -s list ruleset`: every table of every family, without counts.
    fn print(&self, _program: Program) -> Argv {
        ["nft", "-s", "list", "ruleset"].map(str::to_owned).to_vec()
    }

    /// `nft -f -`: commands from standard input.
    fn load(&self, _program: Program) -> Argv {
        ["nft", "-f", "-"].map(str::to_owned).to_vec()
    }

    /// The same: what is there stays unless a command takes it away.
    fn load_beside(&self, program: Program) -> Option<Argv> {
        Some(self.load(program))
    }

    /// `nft -a -n -s list table`: with handles, and numbers for names.
    fn lists(&self, program: Program, table: &str) -> Vec<(ListedAs, Argv)> {
        let (family, table) = kernel_table(program.family, table);
        let list = ["nft", "-a", "-n", "-s", "list", "table", family, table];
        vec![(ListedAs::Table, list.map(str::to_owned).to_vec())]
    }

    /// `nft delete rule … handle N`.
    fn delete_by_handle(&self, RulePlace { chain, place }: &RulePlace) -> Option<Argv> {
        let (family, table) = chain.nft_table();
        let delete = [
            "nft",
            "delete",
            "rule",
            family,
            table,
            &chain.chain,
            "handle",
        ];
        let argv = delete.into_iter().map(str::to_owned);
        Some(argv.chain([format!("HANDLE-{}", place + 1)]).collect())
    }
}

/// What an interactive nft is asked for last: a table that is not there. It says so on standard error, which it does not hold back.
const LAST: &str = "list table ip iptables-lab-is-through";

/// The command that runs `script` and stays: an nft as people type into it, which takes a line at a time. So the script is one line,
/// and one transaction, as it is of `nft -f`.
pub fn stay(script: &str) -> Staying {
    let commands: Vec<&str> = script.lines().collect();
    Staying {
        argv: ["nft", "-i"].map(str::to_owned).to_vec(),
        stdin: format!("{}\n{LAST}\n", commands.join("; ")).into(),
        through: Through {
            line: LAST.to_owned(),
            complaint: "Error: ".to_owned(),
        },
    }
}

/// The command that runs `script`.
pub fn write(program: Program, script: String) -> Vec<Command> {
    vec![(Nft.load(program), Some(script.into()))]
}
