//! What scenarios give to nft: flat commands, one a line, or a ruleset in nested form, which is taken as such commands.
//!
//! They are parsed strictly, so that each `add rule` is one rule that can be judged, left out, and pointed at.
//! What a rule matches is nft's business: its words are only told apart.

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use std::ops::Range;

use super::nested::{flatten, is_nested};
use super::table::{name_of, policy};
use super::words::{Word, open_braces, split};
use crate::catalog::{Family, Tool};
use crate::observed::nft_family;
use crate::tool::{Chain, Fault, Rule, Ruleset, Table, Write};

/// Commands for nft, and the ruleset that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Its tables, chains and rules; an `inet` table is called `inet NAME`. A base chain has a policy, in iptables'
    /// words.
    pub ruleset: Ruleset,
    /// The commands in order, each with the place of its rule in the ruleset, if it adds one.
    commands: Vec<(String, Option<usize>)>,
}

impl Script {
    /// Reads the commands of a ruleset for `family`, or the ruleset as `nft list` prints it; the first thing that is wrong ends it.
    ///
    /// # Errors
    /// Anything but what adds tables, chains, sets, maps, elements and rules; each of these for another family, or into
    /// what was not added before.
    pub fn parse(family: Family, text: &str) -> Result<Script, Fault> {
        let mut parser = Parser {
            family,
            ruleset: Ruleset::default(),
            commands: Vec::new(),
        };
        match is_nested(text) {
            true => parser.nested(text)?,
            false => parser.flat(text)?,
        }
        if parser.ruleset.tables.is_empty() {
            let fault = Fault::at(text, 0..0, "these commands add no table");
            return Err(fault.with_help(format!("begin with `add table {} …`", nft_family(family))));
        }
        Ok(parser.finish())
    }

    /// The commands with only those rules whose index is kept; the index is that of [`Ruleset::only`].
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> String {
        let commands = self.commands.iter();
        let kept = commands.filter(|(_, rule)| rule.is_none_or(&keep));
        kept.map(|(command, _)| format!("{command}\n")).collect()
    }

    /// The same in the way of `how`.
    pub fn written(&self, how: Write, keep: impl Fn(usize) -> bool) -> String {
        match how.is_in_front() {
            true => self.in_front(keep),
            false => self.only(keep),
        }
    }

    /// The same with each rule in front of what its chain holds: all that is no rule first, then the rules, the last one first.
    pub fn in_front(&self, keep: impl Fn(usize) -> bool) -> String {
        let all = || self.commands.iter();
        let declared = all().filter(|(_, rule)| rule.is_none());
        let declared = declared.map(|(command, _)| format!("{command}\n"));
        let rules = all().rev().filter(|(_, rule)| rule.is_some_and(&keep));
        let inserted =
            rules.map(|(command, _)| format!("{}\n", command.replacen("add", "insert", 1)));
        declared.chain(inserted).collect()
    }
}

/// A line of commands without its end.
struct Line<'a> {
    text: &'a str,
    content: &'a str,
    start: usize,
    number: usize,
}

impl Line<'_> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Fault {
        let span = self.start + span.start..self.start + span.end;
        Fault::at(self.text, span, message)
    }

    /// The word at `at`, which must name `what`.
    fn name<'w>(&self, words: &'w [Word], at: usize, what: &str) -> Result<&'w Word, Fault> {
        let is_name = |word: &&Word| !["{", "}", ";", ","].iter().any(|sign| word.is(sign));
        words.get(at).filter(is_name).ok_or_else(|| {
            let end = self.content.len();
            let span = words.get(at).map_or(end..end, |word| word.span.clone());
            self.fault(span, format!("{what} is missing here"))
        })
    }
}

struct Parser {
    family: Family,
    ruleset: Ruleset,
    /// Each with its rule: the table's place, and the rule's in that table.
    commands: Vec<(String, Option<(usize, usize)>)>,
}

impl Parser {
    fn flat(&mut self, text: &str) -> Result<(), Fault> {
        let mut start = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            self.line(&Line {
                text,
                content: line.trim_end(),
                start,
                number: index + 1,
            })?;
            start += line.len();
        }
        Ok(())
    }

    /// A fault in a command that comes from a nested ruleset is where that has its words.
    fn nested(&mut self, text: &str) -> Result<(), Fault> {
        for of in flatten(text)? {
            let line = Line {
                text: &of.command,
                content: &of.command,
                start: 0,
                number: of.line,
            };
            self.line(&line).map_err(|fault| Fault {
                help: fault.help,
                ..Fault::at(text, of.span, fault.message)
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line<'_>) -> Result<(), Fault> {
        let words = split(line.content)
            .map_err(|quote| line.fault(quote..quote + 1, "this quote is never closed"))?;
        let Some(last) = words.last() else {
            return Ok(());
        };
        self.check_flat(line, &words)?;
        let command: Vec<&str> = words
            .iter()
            .take(2)
            .map(|word| word.text.as_str())
            .collect();
        let rule = match command.as_slice() {
            ["add", "table"] => self.table(line, &words)?,
            ["add", "chain"] => self.chain(line, &words)?,
            ["add", "set" | "map" | "element"] => {
                self.table_of(line, &words)?;
                line.name(&words, 4, "its name")?;
                None
            }
            ["add", "rule"] => Some(self.rule(line, &words)?),
            _ => {
                let end = words.get(1).map_or(words[0].span.end, |word| word.span.end);
                let message = "this is no command that a scenario may give to nft";
                let help = "`add table`, `add chain`, `add set`, `add map`, `add element` and `add rule` are, one a line";
                return Err(line
                    .fault(words[0].span.start..end, message)
                    .with_help(help));
            }
        };
        let command = &line.content[words[0].span.start..last.span.end];
        self.commands.push((command.to_owned(), rule));
        Ok(())
    }

    /// One command a line, all of it.
    fn check_flat(&self, line: &Line<'_>, words: &[Word]) -> Result<(), Fault> {
        for (at, word) in words.iter().enumerate() {
            let depth = open_braces(&words[..=at]);
            if depth < 0 {
                return Err(line.fault(word.span.clone(), "this brace closes none"));
            }
            if depth == 0 && word.is(";") {
                let fault =
                    line.fault(word.span.clone(), "there are several commands in this line");
                return Err(fault.with_help("write each in a line of its own"));
            }
        }
        let last = words.last().map_or(0..0, |word| word.span.clone());
        let goes_on = line.content[last.clone()].ends_with('\\');
        if open_braces(words) > 0 || goes_on {
            let fault = line.fault(last, "the command goes on in the next line");
            return Err(fault.with_help("write each command in one line"));
        }
        Ok(())
    }

    fn table(&mut self, line: &Line<'_>, words: &[Word]) -> Result<Option<(usize, usize)>, Fault> {
        let name = self.name_of_table(line, words)?;
        if self.ruleset.tables.iter().any(|table| table.name == name) {
            return Err(line.fault(words[3].span.clone(), "this table is added twice"));
        }
        self.ruleset.tables.push(Table {
            name,
            chains: Vec::new(),
            rules: Vec::new(),
        });
        Ok(None)
    }

    fn chain(&mut self, line: &Line<'_>, words: &[Word]) -> Result<Option<(usize, usize)>, Fault> {
        let table = self.table_of(line, words)?;
        let name = line.name(words, 4, "the chain's name")?;
        let chains = &mut self.ruleset.tables[table].chains;
        if chains.iter().any(|chain| chain.name == name.text) {
            return Err(line.fault(name.span.clone(), "this chain is added twice"));
        }
        chains.push(Chain {
            name: name.text.clone(),
            policy: policy(&words[5..]),
        });
        Ok(None)
    }

    fn rule(&mut self, line: &Line<'_>, words: &[Word]) -> Result<(usize, usize), Fault> {
        let at = self.table_of(line, words)?;
        let chain = line.name(words, 4, "the rule's chain")?;
        let table = &mut self.ruleset.tables[at];
        if !table.chains.iter().any(|known| known.name == chain.text) {
            let message = format!("the table {} has no such chain", table.name);
            let help = format!("add it in a line before: `add chain … {}`", chain.text);
            return Err(line.fault(chain.span.clone(), message).with_help(help));
        }
        let first = line.name(words, 5, "what the rule says")?;
        if ["position", "index", "handle"]
            .iter()
            .any(|of| first.is(of))
        {
            let fault = line.fault(first.span.clone(), "a scenario's rules follow each other");
            return Err(fault.with_help("write them in their order, without a place"));
        }
        let end = words.last().map_or(0, |word| word.span.end);
        let text = line.content[words[0].span.start..end].into();
        let chain = chain.text.clone();
        let rule = Rule::of_line(Tool::Nft, chain, text, line.number);
        table.rules.push(rule);
        Ok((at, table.rules.len() - 1))
    }

    /// The place of the table that a command is about.
    fn table_of(&self, line: &Line<'_>, words: &[Word]) -> Result<usize, Fault> {
        let name = self.name_of_table(line, words)?;
        let mut tables = self.ruleset.tables.iter();
        tables.position(|table| table.name == name).ok_or_else(|| {
            let span = words[2].span.start..words[3].span.end;
            let help = format!(
                "add it in a line before: `add table {} {}`",
                words[2].text, words[3].text
            );
            line.fault(span, "there is no such table").with_help(help)
        })
    }

    /// What the ruleset calls the table that follows the command's two words.
    fn name_of_table(&self, line: &Line<'_>, words: &[Word]) -> Result<String, Fault> {
        let own = nft_family(self.family);
        let family = line.name(words, 2, "the table's family")?;
        if !["ip", "ip6", "inet", "arp", "bridge", "netdev"].contains(&family.text.as_str()) {
            let fault = line.fault(family.span.clone(), "this is no family of tables");
            return Err(fault.with_help(format!("name the table's family too: `{own}` or `inet`")));
        }
        if family.text != own && family.text != "inet" {
            let message = format!("a ruleset for {} has no tables of this family", self.family);
            let help = format!("write `{own}` or `inet`");
            return Err(line.fault(family.span.clone(), message).with_help(help));
        }
        let table = line.name(words, 3, "the table's name")?;
        Ok(name_of(self.family, &family.text, &table.text))
    }

    /// The rules get their places in the whole ruleset, table by table.
    fn finish(self) -> Script {
        let tables = &self.ruleset.tables;
        let before = |table: usize| -> usize {
            let earlier = tables[..table].iter();
            earlier.map(|table| table.rules.len()).sum()
        };
        let commands = self.commands.into_iter();
        let commands = commands
            .map(|(text, rule)| (text, rule.map(|(table, rule)| before(table) + rule)))
            .collect();
        Script {
            commands,
            ruleset: self.ruleset,
        }
    }
}
