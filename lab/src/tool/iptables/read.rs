//! What an iptables printed, read tolerantly: nothing it says is refused, and nothing is dropped silently.

use std::sync::Arc;

use foldhash::HashMap;
use memchr::memchr_iter;

use super::parse::without_counters;
use super::print::is_stamp;
use super::tokens;
use crate::catalog::Tool;
use crate::tool::{Chain, GivenUp, KnownRules, Printed, PrintedTable, Rule};

/// Takes a line with its number apart; none where it is no rule.
type ReadRule<'r> = dyn FnMut(&str, usize) -> Option<Arc<Rule>> + 'r;

/// Reads what an `iptables-save` printed. Never fails: what is not understood is among the strays.
pub fn read(stdout: &str) -> Printed {
    read_by(
        &mut |line, number| Some(Arc::new(printed_rule(line, number)?)),
        stdout,
    )
}

/// Reads what an `iptables-save` printed. What is known from other prints is the same rule here, at the line where it stood
/// first.
pub fn read_with(known: &mut KnownRules, stdout: &str) -> Printed {
    known.expect(memchr_iter(b'\n', stdout.as_bytes()).count());
    read_by(
        &mut |line, number| known.rule((line, number), printed_rule),
        stdout,
    )
}

fn read_by(rule: &mut ReadRule<'_>, stdout: &str) -> Printed {
    let mut printed = Printed::default();
    for (index, line) in lines(stdout).enumerate() {
        let line = line.trim_end_matches([' ', '\t', '\r']);
        if !take(&mut printed, rule, line, index + 1) {
            printed.strays.push(line.to_owned());
        }
    }
    printed
}

/// Reads what `iptables -t TABLE -S` printed: its `-A` lines; `-P` and `-N` lines say what a save says otherwise.
pub fn read_list(known: &mut KnownRules, table: &str, stdout: &str) -> Printed {
    let mut list = PrintedTable {
        name: table.to_owned(),
        is_ended: true,
        ..PrintedTable::default()
    };
    let mut rule = |line: &str, number| known.rule((line, number), printed_rule);
    let mut strays = Vec::new();
    for (index, line) in lines(stdout).enumerate() {
        let line = line.trim_end_matches([' ', '\t', '\r']);
        let is_chain = ["-P ", "-N "].iter().any(|of| line.starts_with(of));
        if !is_chain && !line.is_empty() && !take_in(&mut list, &mut rule, line, index + 1) {
            strays.push(line.to_owned());
        }
    }
    Printed {
        tables: vec![list],
        strays,
        ..Printed::default()
    }
}

/// Takes a line to where it belongs; false where it belongs nowhere.
fn take(printed: &mut Printed, rule: &mut ReadRule<'_>, line: &str, number: usize) -> bool {
    match line.chars().next() {
        None => true,
        Some('#') => {
            if !is_stamp(line) {
                printed.given_up.extend(given_up(line));
                printed.comments.push(line.to_owned());
            }
            true
        }
        Some('*') => {
            printed.tables.push(PrintedTable {
                name: line[1..].to_owned(),
                ..PrintedTable::default()
            });
            true
        }
        _ => match printed.tables.last_mut().filter(|table| !table.is_ended) {
            Some(table) => take_in(table, rule, line, number),
            None => false,
        },
    }
}

/// Takes a line into a table; false where it is nothing of a table's.
fn take_in(table: &mut PrintedTable, rule: &mut ReadRule<'_>, line: &str, number: usize) -> bool {
    if line == "COMMIT" {
        table.is_ended = true;
        return true;
    }
    if let Some(chain) = line.strip_prefix(':').and_then(printed_chain) {
        table.chains.push(chain);
        return true;
    }
    match rule(line, number) {
        Some(rule) => {
            table.rules.push(rule);
            true
        }
        None => false,
    }
}

/// The table that a build says it cannot print: ``# Table `filter' is incompatible, use 'nft' tool.``
fn given_up(comment: &str) -> Option<GivenUp> {
    let quoted = comment.split_once('`')?.1;
    let (table, _) = quoted.split_once('\'')?;
    comment.contains("is incompatible").then(|| GivenUp {
        table: table.to_owned(),
        said: comment.to_owned(),
    })
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
    tokens::is_closed(rule).then(|| Rule::of_line(Tool::Iptables, chain, line.into(), number))
}
