//! From `iptables-save` text to a ruleset, strictly: for scenario files and what a user gives with `--rules`.
//!
//! Whatever `iptables-restore` would refuse by its grammar is refused here, with the place, and so is what it would
//! take but what would make a rule of the text no longer one rule of the kernel.

use std::ops::Range;

use super::atoms::{Atom, Kind, atoms};
use super::tokens::{self, Token};
use crate::catalog::Tool;
use crate::tool::{Chain, Fault, Rule, Ruleset, Table, Words};

/// The tables there are, and the chains that each has without being told.
const TABLES: [(&str, &[&str]); 5] = [
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    (
        "mangle",
        &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    ),
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

/// What `struct xt_param_buf` (iptables/xshared.h) holds.
const LONGEST_WORD: usize = 1023;

/// Whether an iptables knows the table: it sees no others, whatever nft put into the kernel.
pub fn is_iptables_table(table: &str) -> bool {
    !built_in_chains(table).is_empty()
}

/// The chains that a table has without being told; none where there is no such table.
pub fn built_in_chains(table: &str) -> &'static [&'static str] {
    TABLES
        .iter()
        .find(|(name, _)| *name == table)
        .map_or(&[], |(_, chains)| chains)
}

/// Reads a ruleset; the first thing that is wrong ends it.
pub fn parse(text: &str) -> Result<Ruleset, Fault> {
    let mut parser = Parser {
        text,
        ruleset: Ruleset::default(),
        open: None,
    };
    let mut start = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r', ' ', '\t']);
        parser.line(Line {
            content,
            start,
            number: index + 1,
        })?;
        start += line.len();
    }
    parser.finish()
}

/// Reads a ruleset that must say something.
pub fn parse_some(text: &str) -> Result<Ruleset, Fault> {
    let ruleset = parse(text)?;
    if ruleset.tables.is_empty() {
        let fault = Fault::at(text, 0..0, "there is no table in this ruleset");
        return Err(fault.with_help("paste what iptables-save prints, from `*filter` to `COMMIT`"));
    }
    Ok(ruleset)
}

/// A line without its trailing blanks and line break (LF or CRLF).
#[derive(Clone, Copy)]
struct Line<'a> {
    content: &'a str,
    start: usize,
    number: usize,
}

impl Line<'_> {
    fn span(&self) -> Range<usize> {
        self.start..self.start + self.content.len()
    }

    fn part(&self, part: &Range<usize>) -> Range<usize> {
        self.start + part.start..self.start + part.end
    }
}

struct Parser<'a> {
    text: &'a str,
    ruleset: Ruleset,
    /// The table in hand, and where its `*table` line stands.
    open: Option<(Table, Range<usize>)>,
}

impl Parser<'_> {
    fn fault(&self, span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault::at(self.text, span, message)
    }

    fn line(&mut self, line: Line) -> Result<(), Fault> {
        let content = line.content;
        let unindented = content.trim_start();
        match unindented.chars().next() {
            None => Ok(()),
            Some('#' | '*' | ':' | 'C') if unindented.len() < content.len() => Err(self
                .fault(line.span(), "this line begins with blanks")
                .with_help("iptables-restore knows such a line only at the left margin: remove the blanks before it")),
            Some('#') => Ok(()),
            Some('*') => self.table(line),
            Some(':') => self.chain(line),
            Some('-' | '[') => self.rule(line),
            Some(_) if content == "COMMIT" => self.commit(line),
            Some(_) => Err(self
                .fault(line.span(), "this is no line of a ruleset")
                .with_help("a line is `*table`, `:CHAIN policy`, `-A CHAIN …`, `COMMIT` or `# comment`")),
        }
    }

    fn table(&mut self, line: Line) -> Result<(), Fault> {
        self.no_open_table()?;
        let name = &line.content[1..];
        let after_star = line.start + 1..line.span().end;
        if built_in_chains(name).is_empty() {
            return Err(self
                .fault(after_star, format!("there is no table `{name}`"))
                .with_help("the tables are filter, nat, mangle, raw and security"));
        }
        if self.ruleset.tables.iter().any(|table| table.name == name) {
            return Err(self
                .fault(after_star, format!("table `{name}` was there before"))
                .with_help("put all of a table's chains and rules into one section"));
        }
        let table = Table {
            name: name.to_owned(),
            chains: Vec::new(),
            rules: Vec::new(),
        };
        self.open = Some((table, line.span()));
        Ok(())
    }

    fn no_open_table(&self) -> Result<(), Fault> {
        match &self.open {
            None => Ok(()),
            Some((table, span)) => Err(self
                .fault(
                    span.clone(),
                    format!("table `{}` has no COMMIT", table.name),
                )
                .with_help("end the table's section with a line `COMMIT`")),
        }
    }

    fn commit(&mut self, line: Line) -> Result<(), Fault> {
        match self.open.take() {
            Some((table, _)) => {
                self.ruleset.tables.push(table);
                Ok(())
            }
            None => Err(self
                .fault(line.span(), "this COMMIT ends no table")
                .with_help("a section begins with a line such as `*filter`")),
        }
    }

    fn chain(&mut self, line: Line) -> Result<(), Fault> {
        let Some((table, _)) = &self.open else {
            return Err(self.outside_a_table("chain", line));
        };
        let words = words_of(line.content);
        let Some(name) = words
            .first()
            .map(|word| &line.content[word.start + 1..word.end])
            .filter(|name| !name.is_empty())
        else {
            return Err(self
                .fault(line.span(), "this line declares a chain without a name")
                .with_help("write `:CHAIN - [0:0]`"));
        };
        if table.chains.iter().any(|chain| chain.name == name) {
            return Err(self.fault(
                line.part(&words[0]),
                format!("chain `{name}` was declared before"),
            ));
        }
        let policy = self.policy(line, &words, name, built_in_chains(&table.name))?;
        let chain = Chain {
            name: name.to_owned(),
            policy,
        };
        if let Some((table, _)) = &mut self.open {
            table.chains.push(chain);
        }
        Ok(())
    }

    fn policy(
        &self,
        line: Line,
        words: &[Range<usize>],
        chain: &str,
        built_in: &[&str],
    ) -> Result<Option<String>, Fault> {
        let built_in = built_in.contains(&chain);
        let policy = words.get(1).map(|word| &line.content[word.clone()]);
        let counters = words.get(2).map(|word| &line.content[word.clone()]);
        let bad_counters = counters.is_some_and(|word| counters_length(word) != Some(word.len()));
        if bad_counters || words.len() > 3 {
            return Err(self
                .fault(line.part(&words[2]), "these are no counters")
                .with_help("write `[packets:bytes]`, or nothing"));
        }
        match policy {
            Some("-") if !built_in => Ok(None),
            Some(policy @ ("ACCEPT" | "DROP")) if built_in => Ok(Some(policy.to_owned())),
            _ => {
                let place = words.get(1).unwrap_or(&words[0]);
                let (message, help) = match built_in {
                    true => (
                        "the policy of a built-in chain is ACCEPT or DROP",
                        format!("write `:{chain} ACCEPT [0:0]`"),
                    ),
                    false => (
                        "only built-in chains have a policy",
                        format!("write `:{chain} - [0:0]`"),
                    ),
                };
                Err(self.fault(line.part(place), message).with_help(help))
            }
        }
    }

    fn outside_a_table(&self, what: &str, line: Line) -> Fault {
        let message = match self.ruleset.tables.last() {
            None => format!("this {what} stands before its table"),
            Some(last) => format!(
                "this {what} stands outside a table: `{}` ended with its COMMIT",
                last.name
            ),
        };
        self.fault(line.span(), message)
            .with_help("begin the section with a line such as `*filter`")
    }

    fn rule(&mut self, line: Line) -> Result<(), Fault> {
        if self.open.is_none() {
            return Err(self.outside_a_table("rule", line));
        }
        let tokens = self.rule_tokens(line)?;
        let command = tokens.first().map_or("", |token| token.text.as_ref());
        if !matches!(command, "-A" | "--append") {
            return Err(self.not_an_append(line, &tokens));
        }
        let chain = self.rule_chain(&tokens)?;
        let words: Vec<&str> = tokens[2..].iter().map(|token| &*token.text).collect();
        self.no_table_of_its_own(&words, &tokens[2..])?;
        self.one_rule_of_the_kernel(&chain, &words, &tokens[2..])?;
        let rule = Rule {
            chain,
            tool: Tool::Iptables,
            words: Words::from_iter(words).into(),
            text: line.content.into(),
            line: line.number,
        };
        if let Some((table, _)) = &mut self.open {
            table.rules.push(rule);
        }
        Ok(())
    }

    /// The line's words without leading counters (`[12:34] -A …`), their spans in the whole text.
    fn rule_tokens<'a>(&self, line: Line<'a>) -> Result<Vec<Token<'a>>, Fault> {
        let skipped = match line.content.starts_with('[') {
            false => 0,
            true => counters_length(line.content).ok_or_else(|| {
                self.fault(line.span(), "these are no counters").with_help(
                    "a rule may begin with `[packets:bytes]`, as iptables-save -c prints it",
                )
            })?,
        };
        let start = line.start + skipped;
        let mut tokens = tokens::split(&line.content[skipped..]).map_err(|open| {
            self.fault(
                start + open.quote..line.span().end,
                "this quote is never closed",
            )
            .with_help("close it with `\"`; inside quotes a quote is written `\\\"`")
        })?;
        for token in &mut tokens {
            token.span = start + token.span.start..start + token.span.end;
            if token.text.len() > LONGEST_WORD {
                return Err(self
                    .fault(
                        token.span.clone(),
                        "this word is too long for iptables-restore",
                    )
                    .with_help(format!("it takes words of up to {LONGEST_WORD} bytes")));
            }
        }
        Ok(tokens)
    }

    fn not_an_append(&self, line: Line, tokens: &[Token<'_>]) -> Fault {
        let command = tokens.first().map_or("", |token| token.text.as_ref());
        let place = tokens
            .first()
            .map_or(line.span(), |token| token.span.clone());
        let help = match command {
            "-I" | "--insert" => {
                "write `-A CHAIN …`, and put the line where the rule is to stand in its chain; `write = \"insert\"` in a scenario has the writer insert"
            }
            "-D" | "--delete" => {
                "leave out this line and the rule it deletes: the text is what the kernel is to hold"
            }
            "-R" | "--replace" => "write the new rule as `-A CHAIN …` in the place of the old one",
            "-N" | "--new-chain" => "write `:CHAIN - [0:0]` before the rules",
            "-P" | "--policy" => {
                "write `:CHAIN ACCEPT [0:0]` or `:CHAIN DROP [0:0]` before the rules"
            }
            _ => "every rule is written `-A CHAIN …`",
        };
        self.fault(
            place,
            format!("a rule begins with -A, and this one with `{command}`"),
        )
        .with_help(help)
    }

    fn rule_chain(&self, tokens: &[Token<'_>]) -> Result<String, Fault> {
        let chain = tokens
            .get(1)
            .filter(|token| !token.text.starts_with(['-', '!']) && !token.text.is_empty());
        let Some(chain) = chain else {
            return Err(self
                .fault(tokens[0].span.clone(), "this -A names no chain")
                .with_help("write `-A CHAIN …`"));
        };
        let name = &chain.text;
        let known = self.open.as_ref().is_some_and(|(table, _)| {
            built_in_chains(&table.name).contains(&name.as_ref())
                || table.chains.iter().any(|chain| chain.name == **name)
        });
        if !known {
            return Err(self
                .fault(
                    chain.span.clone(),
                    format!("chain `{name}` is not declared"),
                )
                .with_help(format!("write `:{name} - [0:0]` before the rules")));
        }
        Ok(name.clone().into_owned())
    }

    fn no_table_of_its_own(&self, words: &[&str], tokens: &[Token<'_>]) -> Result<(), Fault> {
        let named = atoms(words).into_iter().find(|atom| {
            matches!(&atom.kind, Kind::Option { name, .. } if name == "-t" || name == "--table")
        });
        match named {
            None => Ok(()),
            Some(atom) => Err(self
                .fault(
                    tokens[atom.tokens.start].span.clone(),
                    "a rule does not name its table",
                )
                .with_help("leave out -t and put the rule into the section of its table")),
        }
    }

    /// Refuses what iptables takes as several rules (`-s a,b`): a verdict is about one line and one rule.
    fn one_rule_of_the_kernel(
        &self,
        chain: &str,
        words: &[&str],
        tokens: &[Token<'_>],
    ) -> Result<(), Fault> {
        let atoms = atoms(words);
        let lists: Vec<&Atom> = atoms
            .iter()
            .filter(|atom| matches!(atom.kind, Kind::Source | Kind::Destination))
            .filter(|atom| words[atom.tokens.end - 1].contains(','))
            .collect();
        let Some(first) = lists.first() else {
            return Ok(());
        };
        let place = tokens[first.tokens.end - 1].span.clone();
        if lists.iter().any(|atom| words[atom.tokens.start] == "!") {
            return Err(self
                .fault(place, "iptables refuses a list of addresses after `!`")
                .with_help("write a chain that returns on each of the addresses, and jump to it"));
        }
        let lines = expand(chain, words, &lists);
        Err(self
            .fault(
                place,
                format!(
                    "this line is {} rules in the kernel, one for each address",
                    lines.len()
                ),
            )
            .with_help(format!(
                "write them out, in the order iptables would:\n{}",
                lines.join("\n")
            )))
    }

    fn finish(self) -> Result<Ruleset, Fault> {
        self.no_open_table()?;
        Ok(self.ruleset)
    }
}

/// The lines that stand for a line with lists: all sources, and for each all destinations, as iptables adds them.
fn expand(chain: &str, words: &[&str], lists: &[&Atom]) -> Vec<String> {
    let mut rules: Vec<Vec<String>> = vec![words.iter().map(|&word| word.to_owned()).collect()];
    let mut places: Vec<(bool, usize)> = lists
        .iter()
        .map(|atom| (atom.kind != Kind::Source, atom.tokens.end - 1))
        .collect();
    places.sort_unstable();
    for (_, place) in places {
        rules = rules
            .iter()
            .flat_map(|rule| one_address_each(rule, place))
            .collect();
    }
    rules
        .iter()
        .map(|rule| format!("-A {} {}", tokens::quoted(chain), tokens::join(rule)))
        .collect()
}

fn one_address_each(rule: &[String], place: usize) -> Vec<Vec<String>> {
    let list = &rule[place];
    // An attached value (`-sa,b`, `--source=a,b`) keeps what stands before it.
    let attached = match (list.starts_with("--"), list.starts_with('-')) {
        (true, _) => list.find('=').map_or(0, |at| at + 1),
        (false, true) => 2,
        (false, false) => 0,
    };
    let (before, addresses) = list.split_at(attached);
    addresses
        .split(',')
        .filter(|address| !address.is_empty())
        .map(|address| {
            let mut one = rule.to_vec();
            one[place] = format!("{before}{}", address.trim());
            one
        })
        .collect()
}

/// Where the blank-separated words of a line stand. Chain lines know no quotes.
fn words_of(line: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        match (c == ' ' || c == '\t', start) {
            (true, Some(begin)) => {
                words.push(begin..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    words
}

/// The line without the counters that it may begin with: `[12:34] -A INPUT`.
pub(in crate::tool) fn without_counters(line: &str) -> &str {
    &line[counters_length(line).unwrap_or(0)..]
}

/// How long the counters are that the text begins with: `[12:34]`.
pub(super) fn counters_length(text: &str) -> Option<usize> {
    let inner = &text.strip_prefix('[')?;
    let end = inner.find(']')?;
    let (packets, bytes) = inner[..end].split_once(':')?;
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (number(packets) && number(bytes)).then_some(end + 2)
}
