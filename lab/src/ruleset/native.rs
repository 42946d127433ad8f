//! nft's own language, as far as the lab speaks it: flat commands, one a line, and what `nft list ruleset` prints.
//!
//! The commands are parsed strictly, so that each `add rule` is one rule that can be judged, left out, and pointed at.
//! What a rule matches is nft's business: its words are only told apart.

use std::ops::Range;
use std::sync::Arc;

use super::fault::Fault;
use super::printed::{Printed, PrintedTable};
use super::{Chain, Rule, Ruleset, Table, Target, Words};
use crate::catalog::Family;

/// Commands for nft, and the ruleset that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// Its tables, chains and rules; an `inet` table is called `inet NAME`. A base chain has a policy, in iptables'
    /// words.
    pub ruleset: Ruleset,
    /// The commands in order, each with the place of its rule in the ruleset, if it adds one.
    commands: Vec<(String, Option<usize>)>,
}

impl Native {
    /// Reads the commands of a ruleset for `family`; the first thing that is wrong ends it.
    ///
    /// # Errors
    /// Anything but flat commands that add tables, chains, sets, maps, elements and rules; each of these for another
    /// family, or into what was not added before.
    pub fn parse(family: Family, text: &str) -> Result<Native, Fault> {
        let mut parser = Parser {
            family,
            ruleset: Ruleset::default(),
            commands: Vec::new(),
        };
        let mut start = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            parser.line(&Line {
                text,
                content: line.trim_end(),
                start,
                number: index + 1,
            })?;
            start += line.len();
        }
        if parser.ruleset.tables.is_empty() {
            let fault = Fault::at(text, 0..0, "these commands add no table");
            return Err(fault.with_help(format!("begin with `add table {} …`", family.nft())));
        }
        Ok(parser.finish())
    }

    /// The commands with only those rules whose index is kept; the index is that of [`Ruleset::only`].
    pub fn only(&self, keep: impl Fn(usize) -> bool) -> String {
        let commands = self.commands.iter();
        let kept = commands.filter(|(_, rule)| rule.is_none_or(&keep));
        kept.map(|(command, _)| format!("{command}\n")).collect()
    }

    /// The commands in order, each with the place of its rule in the ruleset, if it adds one.
    pub fn commands(&self) -> impl Iterator<Item = (&str, Option<usize>)> {
        let commands = self.commands.iter();
        commands.map(|(command, rule)| (command.as_str(), *rule))
    }
}

/// A command's words, as they stand in it, quotes and all.
pub fn words_of(command: &str) -> Vec<&str> {
    let words = split(command).unwrap_or_default();
    let span = |word: Word| &command[word.span];
    words.into_iter().map(span).collect()
}

/// The places of a rule's words as they belong together: each expression or statement a piece.
pub fn statement_ranges(words: &[&str]) -> Vec<Vec<usize>> {
    let mut statements: Vec<Vec<usize>> = Vec::new();
    for word in word_ranges(words) {
        let begins = word
            .first()
            .is_some_and(|&at| BEGINNINGS.contains(&words[at]) || words[at].starts_with("@nh,"));
        match statements.last_mut().filter(|_| !begins) {
            Some(statement) => statement.extend(word),
            None => statements.push(word),
        }
    }
    statements
}

/// The places of a rule's words, each a piece of its own, but for those in braces, which are one.
pub fn word_ranges(words: &[&str]) -> Vec<Vec<usize>> {
    let (mut ranges, mut depth): (Vec<Vec<usize>>, usize) = (Vec::new(), 0);
    for (place, word) in words.iter().enumerate() {
        match ranges.last_mut().filter(|_| depth > 0) {
            Some(braced) => braced.push(place),
            None => ranges.push(vec![place]),
        }
        match *word {
            "{" => depth += 1,
            "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    ranges
}

/// The words with which nft's expressions and statements begin. One that is missing here makes a coarser piece.
const BEGINNINGS: [&str; 49] = [
    "accept",
    "add",
    "ah",
    "arp",
    "comment",
    "continue",
    "counter",
    "ct",
    "dccp",
    "dnat",
    "drop",
    "dup",
    "esp",
    "ether",
    "fib",
    "fwd",
    "goto",
    "icmp",
    "icmpv6",
    "igmp",
    "iif",
    "iifname",
    "ip",
    "ip6",
    "jhash",
    "jump",
    "limit",
    "log",
    "masquerade",
    "meta",
    "notrack",
    "numgen",
    "oif",
    "oifname",
    "osf",
    "queue",
    "quota",
    "redirect",
    "reject",
    "return",
    "rt",
    "sctp",
    "snat",
    "socket",
    "tcp",
    "th",
    "tproxy",
    "udp",
    "update",
];

/// What the ruleset calls a table.
fn name_of(family: Family, table_family: &str, table: &str) -> String {
    match table_family == family.nft() {
        true => table.to_owned(),
        false => format!("{table_family} {table}"),
    }
}

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// Without quotes.
    text: String,
    /// Its bytes in the line, with quotes.
    span: Range<usize>,
    is_quoted: bool,
}

impl Word {
    fn is(&self, sign: &str) -> bool {
        !self.is_quoted && self.text == sign
    }
}

/// Splits a line into words up to a comment; where a quote is open, the byte where it opens. `{ } ; ,` are words
/// wherever they stand. In quotes nothing is escaped.
fn split(line: &str) -> Result<Vec<Word>, usize> {
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at..];
        let (length, is_quoted) = match c {
            '#' => break,
            '"' => match rest[1..].find('"') {
                Some(end) => (end + 2, true),
                None => return Err(at),
            },
            '{' | '}' | ';' | ',' => (1, false),
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "\"{};,#".contains(c);
                (rest.find(ends).unwrap_or(rest.len()), false)
            }
        };
        let text = match is_quoted {
            true => &rest[1..length - 1],
            false => &rest[..length],
        };
        words.push(Word {
            text: text.to_owned(),
            span: at..at + length,
            is_quoted,
        });
        at += length;
    }
    Ok(words)
}

/// How many braces are open at the end of these words.
fn open_braces(words: &[Word]) -> isize {
    let opened = words.iter().filter(|word| word.is("{")).count();
    let closed = words.iter().filter(|word| word.is("}")).count();
    opened.cast_signed() - closed.cast_signed()
}

fn texts(words: &[Word]) -> Words {
    words.iter().map(|word| &word.text).collect()
}

/// The policy of a base chain, in iptables' words; none of a chain that hangs nowhere.
fn policy(block: &[Word]) -> Option<String> {
    block.iter().find(|word| word.is("hook"))?;
    let at = block.iter().position(|word| word.is("policy"));
    let word = at.and_then(|at| block.get(at + 1));
    Some(word.map_or_else(|| "ACCEPT".to_owned(), |word| word.text.to_uppercase()))
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
        table.rules.push(Rule {
            chain: chain.text.clone(),
            words: texts(&words[5..]).into(),
            text: line.content[words[0].span.start..end].into(),
            line: line.number,
        });
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
        let own = self.family.nft();
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
    fn finish(self) -> Native {
        let tables = &self.ruleset.tables;
        let before = |table: usize| -> usize {
            let earlier = tables[..table].iter();
            earlier.map(|table| table.rules.len()).sum()
        };
        let commands = self.commands.into_iter();
        let commands = commands
            .map(|(text, rule)| (text, rule.map(|(table, rule)| before(table) + rule)))
            .collect();
        Native {
            commands,
            ruleset: self.ruleset,
        }
    }
}

/// Reads what `nft list ruleset` printed, with the names that tables have in a ruleset for `family`. Never fails: what
/// is not understood is among the strays; sets and maps are left out.
pub fn read_listing(family: Family, stdout: &str) -> Printed {
    let mut listing = Listing {
        family,
        printed: Printed::default(),
        block: Block::Outside,
        rule: String::new(),
    };
    for (index, line) in stdout.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !listing.take(line, index + 1) {
            listing.printed.strays.push(line.to_owned());
        }
    }
    listing.printed
}

/// What the line in hand stands in.
enum Block {
    Outside,
    Table,
    Chain(String),
    /// A set, a map, an object: so many braces are open.
    Other(isize),
}

struct Listing {
    family: Family,
    printed: Printed,
    block: Block,
    /// The beginning of a rule that goes on: of a set in it, the elements may stand in several lines.
    rule: String,
}

impl Listing {
    /// Takes a line to where it belongs; false where it belongs nowhere.
    fn take(&mut self, line: &str, number: usize) -> bool {
        if line.starts_with('#') {
            self.printed.comments.push(line.to_owned());
            return true;
        }
        let Ok(words) = split(line) else {
            return false;
        };
        let opens = words.last().is_some_and(|word| word.is("{"));
        let Some(table) = self
            .printed
            .tables
            .last_mut()
            .filter(|table| !table.committed)
        else {
            return self.open_table(&words);
        };
        match &mut self.block {
            Block::Table if line == "}" => {
                table.committed = true;
                self.block = Block::Outside;
            }
            Block::Table if words[0].is("chain") && opens && words.len() == 3 => {
                let name = words[1].text.clone();
                table.chains.push(Chain {
                    name: name.clone(),
                    policy: None,
                });
                self.block = Block::Chain(name);
            }
            Block::Table if opens => self.block = Block::Other(1),
            // Flags and comments of the table.
            Block::Table => {}
            Block::Other(depth) => {
                *depth += open_braces(&words);
                if *depth <= 0 {
                    self.block = Block::Table;
                }
            }
            Block::Chain(_) if line == "}" && self.rule.is_empty() => self.block = Block::Table,
            Block::Chain(name) => take_rule(table, name, &mut self.rule, line, number),
            Block::Outside => return false,
        }
        true
    }

    fn open_table(&mut self, words: &[Word]) -> bool {
        let [table, family, name, brace] = words else {
            return false;
        };
        if !table.is("table") || !brace.is("{") {
            return false;
        }
        self.printed.tables.push(PrintedTable {
            name: name_of(self.family, &family.text, &name.text),
            ..PrintedTable::default()
        });
        self.block = Block::Table;
        true
    }
}

/// Takes a line of a chain: where it hangs, or a rule, or a part of one.
fn take_rule(table: &mut PrintedTable, chain: &str, rule: &mut String, line: &str, number: usize) {
    if !rule.is_empty() {
        rule.push(' ');
    }
    rule.push_str(line);
    let Ok(words) = split(rule) else { return };
    if open_braces(&words) > 0 {
        return;
    }
    let text = std::mem::take(rule);
    let hooked = policy(&words).filter(|_| words[0].is("type"));
    match (hooked, table.chains.last_mut()) {
        (Some(policy), Some(chain)) => chain.policy = Some(policy),
        // A comment of the chain's own.
        _ if words[0].is("comment") => {}
        _ => table.rules.push(Arc::new(Rule {
            chain: chain.to_owned(),
            words: texts(&words).into(),
            text: text.into(),
            line: number,
        })),
    }
}

/// What becomes of a packet that meets a rule of nft words; none of a rule in iptables' words.
pub fn target(words: &[&str]) -> Target {
    if words.iter().any(|word| word.starts_with('-')) {
        return Target::None;
    }
    if words.contains(&"vmap") {
        return Target::Other("vmap".to_owned());
    }
    let said = words.iter().take_while(|word| **word != "comment");
    let pairs = said.zip(words.iter().skip(1).map(Some).chain([None]));
    let named = pairs.filter_map(|(word, next)| match (*word, next) {
        ("accept", _) => Some(Target::Accept),
        ("drop", _) => Some(Target::Drop),
        ("reject", _) => Some(Target::Reject),
        ("return", _) => Some(Target::Return),
        ("jump", Some(chain)) => Some(Target::Jump((*chain).to_owned())),
        ("goto", Some(chain)) => Some(Target::Goto((*chain).to_owned())),
        ("dnat" | "snat" | "masquerade" | "redirect" | "queue", _) => {
            Some(Target::Other((*word).to_owned()))
        }
        _ => None,
    });
    named.last().unwrap_or(Target::None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    const COMMANDS: &str = "# a firewall
add table ip filter
add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
add chain ip filter OWN
add table inet other
add chain inet other c { type filter hook input priority 5; }
add set ip filter trusted { type ipv4_addr; flags interval; }
add element ip filter trusted { 192.0.2.0/24, 198.51.100.7 }

add rule ip filter INPUT iifname \"lo\" accept   # the loopback
add rule inet other c tcp dport { 22,80 } counter drop comment \"a; b {\"
add rule ip filter INPUT ip saddr @trusted jump OWN
";

    fn parsed() -> Native {
        Native::parse(Family::Ipv4, COMMANDS).unwrap()
    }

    #[test]
    fn commands_make_a_ruleset() {
        let ruleset = parsed().ruleset;
        let chains = |table: &Table| -> Vec<(String, Option<String>)> {
            let chains = table.chains.iter();
            chains.map(|c| (c.name.clone(), c.policy.clone())).collect()
        };
        let policy = |policy: &str| Some(policy.to_owned());
        let names: Vec<&str> = ruleset.tables.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["filter", "inet other"]);
        assert_eq!(
            chains(&ruleset.tables[0]),
            [
                ("INPUT".to_owned(), policy("DROP")),
                ("OWN".to_owned(), None)
            ]
        );
        assert_eq!(
            chains(&ruleset.tables[1]),
            [("c".to_owned(), policy("ACCEPT"))]
        );
        let rules: Vec<(&str, usize, String)> = ruleset
            .rules()
            .map(|(table, rule)| (&*table.name, rule.line, rule.tokens().to_vec().join(" ")))
            .collect();
        assert_eq!(
            rules,
            [
                ("filter", 10, "iifname lo accept".to_owned()),
                ("filter", 12, "ip saddr @trusted jump OWN".to_owned()),
                (
                    "inet other",
                    11,
                    "tcp dport { 22 , 80 } counter drop comment a; b {".to_owned()
                ),
            ]
        );
        let text = &ruleset.tables[0].rules[0].text;
        assert_eq!(&**text, "add rule ip filter INPUT iifname \"lo\" accept");
    }

    #[test]
    fn rules_are_left_out_and_what_they_need_stays() {
        let native = parsed();
        let kept = native.only(|index| index == 1);
        let rules: Vec<&str> = kept
            .lines()
            .filter(|line| line.starts_with("add rule"))
            .collect();
        assert_eq!(
            rules,
            ["add rule ip filter INPUT ip saddr @trusted jump OWN"]
        );
        let others = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with("add rule"))
                .count()
        };
        assert_eq!(others(&kept), 7);
        assert_eq!(native.only(|_| true).lines().count(), 10);
    }

    #[rstest]
    #[case::empty("", 1, 1, "add no table")]
    #[case::comments("# nothing\n", 1, 1, "add no table")]
    #[case::nested("table ip filter {\n}\n", 1, 17, "goes on in the next line")]
    #[case::continued("add table ip \\\nfilter\n", 1, 14, "goes on in the next line")]
    #[case::flush("flush ruleset\n", 1, 1, "no command that a scenario")]
    #[case::include("add table ip t\ninclude \"x\"\n", 2, 1, "no command that a scenario")]
    #[case::insert(
        "add table ip t\nadd chain ip t c\ninsert rule ip t c drop\n",
        3,
        1,
        "no command"
    )]
    #[case::several("add table ip t; add chain ip t c\n", 1, 15, "several commands")]
    #[case::brace("add table ip t }\n", 1, 16, "closes none")]
    #[case::quote(
        "add table ip t\nadd chain ip t c\nadd rule ip t c iifname \"lo drop\n",
        3,
        25,
        "never closed"
    )]
    #[case::no_family("add table filter\n", 1, 11, "no family of tables")]
    #[case::other_family("add table ip6 filter\n", 1, 11, "for ipv4 has no tables")]
    #[case::arp("add table arp filter\n", 1, 11, "for ipv4 has no tables")]
    #[case::no_table("add chain ip filter INPUT\n", 1, 11, "no such table")]
    #[case::other_table(
        "add table inet filter\nadd chain ip filter INPUT\n",
        2,
        11,
        "no such table"
    )]
    #[case::no_chain(
        "add table ip t\nadd rule ip t c drop\n",
        2,
        15,
        "the table t has no such chain"
    )]
    #[case::no_rule(
        "add table ip t\nadd chain ip t c\nadd rule ip t c\n",
        3,
        16,
        "what the rule says is missing"
    )]
    #[case::no_name(
        "add table ip t\nadd set ip t { type ipv4_addr; }\n",
        2,
        14,
        "its name is missing"
    )]
    #[case::place(
        "add table ip t\nadd chain ip t c\nadd rule ip t c position 2 drop\n",
        3,
        17,
        "follow each other"
    )]
    #[case::table_twice("add table ip t\nadd table ip t\n", 2, 14, "added twice")]
    #[case::chain_twice(
        "add table ip t\nadd chain ip t c\nadd chain ip t c\n",
        3,
        16,
        "added twice"
    )]
    fn what_is_no_flat_command_is_refused_at_its_place(
        #[case] text: &str,
        #[case] line: usize,
        #[case] column: usize,
        #[case] says: &str,
    ) {
        let fault = Native::parse(Family::Ipv4, text).unwrap_err();
        assert_eq!((fault.line, fault.column), (line, column), "{fault}");
        assert!(fault.message.contains(says), "{fault}");
    }

    #[rstest]
    #[case(Family::Ipv4, "ip", true)]
    #[case(Family::Ipv4, "ip6", false)]
    #[case(Family::Ipv6, "ip6", true)]
    #[case(Family::Ipv6, "ip", false)]
    #[case(Family::Ipv4, "inet", true)]
    #[case(Family::Ipv6, "inet", true)]
    fn tables_fit_the_family(#[case] family: Family, #[case] of: &str, #[case] fits: bool) {
        let parsed = Native::parse(family, &format!("add table {of} t\n"));
        assert_eq!(parsed.is_ok(), fits);
    }

    #[rstest]
    #[case(
        "ip saddr @trusted tcp dport { 22, 80 } counter drop",
        "ip saddr @trusted|tcp dport {22,80}|counter|drop"
    )]
    #[case("iifname \"drop it\" jump OWN", "iifname \"drop it\"|jump OWN")]
    #[case("meta mark set ip dscp", "meta mark set|ip dscp")]
    #[case(
        "ct state vmap { new : drop, invalid : accept }",
        "ct state vmap {new : drop,invalid : accept}"
    )]
    fn a_rule_falls_into_statements(#[case] rule: &str, #[case] expected: &str) {
        let words = words_of(rule);
        let statement = |places: Vec<usize>| {
            let words: Vec<&str> = places.iter().map(|&place| words[place]).collect();
            let joined = words.join(" ");
            [(" , ", ","), ("{ ", "{"), (" }", "}")]
                .iter()
                .fold(joined, |text, (from, to)| text.replace(from, to))
        };
        let statements: Vec<String> = statement_ranges(&words)
            .into_iter()
            .map(statement)
            .collect();
        assert_eq!(statements.join("|"), expected);
    }

    /// As nft 1.0.6 prints it, but for the elements of the anonymous set, which it breaks only where they are many.
    const LISTING: &str = "# Warning: table ip nat is managed by iptables-nft, do not touch!
table ip filter {
\tset trusted {
\t\ttype ipv4_addr
\t\tflags interval
\t\telements = { 192.0.2.0/24,
\t\t\t     198.51.100.7 }
\t}

\tchain INPUT {
\t\ttype filter hook input priority filter; policy drop;
\t\tiifname \"lo\" accept
\t\ttcp dport { 22,
\t\t\t    80 } counter accept comment \"a } b\"
\t}

\tchain OWN {
\t\tcomment \"a chain\"
\t}
}
table inet filter {
\tchain c {
\t\tmeta mark 0x00008000 drop
\t}
}
what is this
";

    #[test]
    fn a_listing_is_read_as_a_print() {
        let printed = read_listing(Family::Ipv4, LISTING);
        let chains = printed.tables.iter().flat_map(|table| &table.chains);
        let chains: Vec<(&str, Option<&str>)> = chains
            .map(|chain| (chain.name.as_str(), chain.policy.as_deref()))
            .collect();
        assert_eq!(
            chains,
            [("INPUT", Some("DROP")), ("OWN", None), ("c", None)]
        );
        let rules = printed.tables.iter().flat_map(|table| {
            let rules = table.rules.iter();
            rules.map(|rule| (table.name.as_str(), rule.chain.as_str(), &*rule.text))
        });
        assert_eq!(
            rules.collect::<Vec<_>>(),
            [
                ("filter", "INPUT", "iifname \"lo\" accept"),
                (
                    "filter",
                    "INPUT",
                    "tcp dport { 22, 80 } counter accept comment \"a } b\""
                ),
                ("inet filter", "c", "meta mark 0x00008000 drop"),
            ]
        );
        assert!(printed.tables.iter().all(|table| table.committed));
        assert_eq!(printed.comments.len(), 1);
        assert_eq!(printed.strays, ["what is this"]);
        let of_ipv6 = read_listing(Family::Ipv6, LISTING);
        assert!(of_ipv6.table("ip filter").is_some() && of_ipv6.table("filter").is_none());
    }

    #[rstest]
    #[case("ip saddr 192.0.2.1 accept", Target::Accept)]
    #[case("meta mark 0x8000 counter drop comment accept", Target::Drop)]
    #[case("tcp dport 22 jump OWN", Target::Jump("OWN".to_owned()))]
    #[case("tcp dport 22 dnat to 10.0.0.1", Target::Other("dnat".to_owned()))]
    #[case("ct state vmap { new : accept , invalid : drop }", Target::Other("vmap".to_owned()))]
    #[case("counter", Target::None)]
    #[case("-m comment --comment drop", Target::None)]
    fn what_a_rule_does(#[case] words: &str, #[case] expected: Target) {
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(target(&words), expected);
    }
}
