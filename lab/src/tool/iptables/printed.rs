//! What a build printed, read tolerantly: nothing it says is refused, and nothing is dropped silently.

use std::sync::{Arc, OnceLock};

use foldhash::HashMap;
use memchr::memchr_iter;

use super::parse::without_counters;
use super::print::is_stamp;
use super::tokens;
use crate::tool::{Chain, Rule};

/// The output of an `iptables-save`, whatever its quality.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printed {
    /// The tables, in order; a table that was printed twice is here twice.
    pub tables: Vec<PrintedTable>,
    /// All `#` lines but `# Generated` and `# Completed`.
    pub comments: Vec<String>,
    /// Lines that are nothing known, and rules or chains outside any table.
    pub strays: Vec<String>,
}

/// One table as it was printed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrintedTable {
    /// `filter`.
    pub name: String,
    /// Its chains, with whatever policy was printed.
    pub chains: Vec<Chain>,
    /// Its rules, of all chains.
    pub rules: Vec<Arc<Rule>>,
    /// Whether a `COMMIT` ended it.
    pub committed: bool,
}

/// Takes a line with its number apart; none where it is no rule.
type ReadRule<'r> = dyn FnMut(&str, usize) -> Option<Arc<Rule>> + 'r;

/// Rules that were read before. Most builds print most rules of a load alike, and in the same order: each such line is
/// taken apart once, and looked for first where it followed the line before it the last time.
#[derive(Debug, Default)]
pub struct KnownRules {
    rules: Vec<KnownRule>,
    /// The places of all of them, by their lines.
    places: HashMap<Arc<str>, usize>,
    /// The place of the rule that was read last.
    last: usize,
}

#[derive(Debug)]
struct KnownRule {
    rule: Arc<Rule>,
    /// The place of the rule that followed it the last time.
    next: usize,
}

impl KnownRules {
    fn rule(&mut self, line: &str, number: usize) -> Option<Arc<Rule>> {
        let expected = self.rules.get(self.last).map_or(0, |last| last.next);
        let is_expected = |known: &KnownRule| *known.rule.text == *line;
        let place = match self.rules.get(expected).is_some_and(is_expected) {
            true => expected,
            false => match self.places.get(line) {
                Some(place) => *place,
                None => self.add(printed_rule(line, number)?),
            },
        };
        if let Some(last) = self.rules.get_mut(self.last) {
            last.next = place;
        }
        self.last = place;
        Some(self.rules[place].rule.clone())
    }

    fn add(&mut self, rule: Rule) -> usize {
        let place = self.rules.len();
        self.places.insert(rule.text.clone(), place);
        let rule = Arc::new(rule);
        self.rules.push(KnownRule { rule, next: 0 });
        place
    }
}

impl PrintedTable {
    /// The rules of one chain, in order.
    pub fn chain_rules<'a>(&'a self, chain: &'a str) -> impl Iterator<Item = &'a Arc<Rule>> {
        self.rules.iter().filter(move |rule| rule.chain == chain)
    }
}

impl Printed {
    /// Reads standard output. Never fails: what is not understood is among the strays.
    pub fn read(stdout: &str) -> Printed {
        Printed::read_by(
            &mut |line, number| Some(Arc::new(printed_rule(line, number)?)),
            stdout,
        )
    }

    /// Reads standard output. What is known from other outputs is the same rule here, at the line where it stood first.
    pub fn read_with(known: &mut KnownRules, stdout: &str) -> Printed {
        if known.rules.is_empty() {
            known
                .places
                .reserve(memchr_iter(b'\n', stdout.as_bytes()).count());
        }
        Printed::read_by(&mut |line, number| known.rule(line, number), stdout)
    }

    fn read_by(rule: &mut ReadRule<'_>, stdout: &str) -> Printed {
        let mut printed = Printed::default();
        for (index, line) in lines(stdout).enumerate() {
            let line = line.trim_end_matches([' ', '\t', '\r']);
            if !printed.take(rule, line, index + 1) {
                printed.strays.push(line.to_owned());
            }
        }
        printed
    }

    /// Reads what `iptables -t TABLE -S` printed: its `-A` lines; `-P` and `-N` lines say what a save says otherwise.
    pub fn read_list(known: &mut KnownRules, table: &str, stdout: &str) -> Printed {
        let mut list = PrintedTable {
            name: table.to_owned(),
            ..PrintedTable::default()
        };
        let mut rule = |line: &str, number| known.rule(line, number);
        let mut strays = Vec::new();
        for (index, line) in lines(stdout).enumerate() {
            let line = line.trim_end_matches([' ', '\t', '\r']);
            let is_chain = ["-P ", "-N "].iter().any(|of| line.starts_with(of));
            if !is_chain && !line.is_empty() && !list.take(&mut rule, line, index + 1) {
                strays.push(line.to_owned());
            }
        }
        list.committed = true;
        Printed {
            tables: vec![list],
            comments: Vec::new(),
            strays,
        }
    }

    /// The table of that name, if it was printed.
    pub fn table(&self, name: &str) -> Option<&PrintedTable> {
        self.tables.iter().find(|table| table.name == name)
    }

    /// The tables that the build says it cannot print: ``# Table `filter' is incompatible, use 'nft' tool.``
    pub fn incompatible_tables(&self) -> Vec<&str> {
        self.comments
            .iter()
            .filter(|comment| comment.contains("is incompatible"))
            .filter_map(|comment| comment.split_once('`')?.1.split_once('\''))
            .map(|(name, _)| name)
            .collect()
    }

    /// Takes a line to where it belongs; false where it belongs nowhere.
    fn take(&mut self, rule: &mut ReadRule<'_>, line: &str, number: usize) -> bool {
        match line.chars().next() {
            None => true,
            Some('#') => {
                if !is_stamp(line) {
                    self.comments.push(line.to_owned());
                }
                true
            }
            Some('*') => {
                self.tables.push(PrintedTable {
                    name: line[1..].to_owned(),
                    ..PrintedTable::default()
                });
                true
            }
            _ => match self.tables.last_mut().filter(|table| !table.committed) {
                Some(table) => table.take(rule, line, number),
                None => false,
            },
        }
    }
}

impl PrintedTable {
    fn take(&mut self, rule: &mut ReadRule<'_>, line: &str, number: usize) -> bool {
        if line == "COMMIT" {
            self.committed = true;
            return true;
        }
        if let Some(chain) = line.strip_prefix(':').and_then(printed_chain) {
            self.chains.push(chain);
            return true;
        }
        match rule(line, number) {
            Some(rule) => {
                self.rules.push(rule);
                true
            }
            None => false,
        }
    }
}

/// The lines of `text`; an empty one more where its last line is ended. What a load's builds print is long, and `str::lines`
/// takes several times as long to find where lines end.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    let ends = memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    ends.map(move |end| {
        let line = &text[from..end];
        from = end + 1;
        line
    })
}

/// What `iptables -L -n -v` printed of each chain: of each rule its words without the two counters, in order.
pub fn listed_rules(stdout: &str) -> HashMap<&str, Vec<Vec<&str>>> {
    let mut listed = HashMap::default();
    let mut lines = stdout.lines();
    while let Some(line) = lines.next() {
        let head = line.strip_prefix("Chain ");
        let Some((chain, _)) = head.and_then(|rest| rest.split_once(" (")) else {
            continue;
        };
        // The names of the columns, the rules, and an empty line before the next chain.
        lines.next();
        let rules = lines.by_ref().take_while(|line| !line.is_empty());
        let rules = rules
            .map(|line| line.split_ascii_whitespace().skip(2).collect())
            .collect();
        listed.entry(chain).or_insert(rules);
    }
    listed
}

fn printed_chain(line: &str) -> Option<Chain> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next()?.to_owned();
    let policy = words.next()?;
    Some(Chain {
        name,
        policy: (policy != "-").then(|| policy.to_owned()),
    })
}

fn printed_rule(line: &str, number: usize) -> Option<Rule> {
    let rule = without_counters(line);
    let mut words = tokens::tokens(rule).map(|token| Some(token.ok()?.text));
    if words.next()?? != "-A" {
        return None;
    }
    let chain = words.next()??.into_owned();
    // Of most rules nobody asks for the other words: who prints the same line prints the same rule.
    tokens::is_closed(rule).then(|| Rule {
        chain,
        words: OnceLock::new(),
        text: line.into(),
        line: number,
    })
}
