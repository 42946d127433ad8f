//! The words of nft's language: how a line falls into them, and a rule into statements.

use std::ops::Range;

use crate::tool::{Target, Words};

/// Where what a rule says begins in a command: behind `add rule FAMILY TABLE CHAIN`.
pub const SAYS: usize = 5;

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

/// What becomes of a packet that meets a rule.
pub fn target(words: &[&str]) -> Target {
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

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes.
    pub(super) text: String,
    /// Its bytes in the line, with quotes.
    pub(super) span: Range<usize>,
    is_quoted: bool,
}

impl Word {
    pub(super) fn is(&self, sign: &str) -> bool {
        !self.is_quoted && self.text == sign
    }
}

/// Splits a line into words up to a comment; where a quote is open, the byte where it opens. `{ } ; ,` are words
/// wherever they stand. In quotes nothing is escaped.
pub(super) fn split(line: &str) -> Result<Vec<Word>, usize> {
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
pub(super) fn open_braces(words: &[Word]) -> isize {
    let opened = words.iter().filter(|word| word.is("{")).count();
    let closed = words.iter().filter(|word| word.is("}")).count();
    opened.cast_signed() - closed.cast_signed()
}

/// The words of a rule that stands in a line: of a command all that it says, without where.
pub(super) fn words(line: &str) -> Words {
    let words = split(line).unwrap_or_default();
    let is_command = words.first().is_some_and(|word| word.is("add"))
        && words.get(1).is_some_and(|word| word.is("rule"));
    let says = if is_command { SAYS } else { 0 };
    words.iter().skip(says).map(|word| &word.text).collect()
}
