//! What of a rule is lost, by one letter: the alphabet of the folded matrix.

use super::harm::{Certainty, Harm, Harmed, harms};
use crate::judge::Cell;
use crate::judge::verdict::Verdict;
use crate::plan::Operation;

/// What of a rule is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// A match on a mark, or a mark that is set.
    Mark,
    /// A match on a protocol or its ports.
    Port,
    /// An address.
    Address,
    /// An interface.
    Interface,
    /// Any other part.
    Other,
    /// The whole rule, or its whole table.
    Whole,
    /// The reader prints nothing of a table, and so restores nothing.
    Nothing,
    /// `-C` or `-D` misses the rule or hits another one.
    Lookup,
    /// A build dies or hangs.
    Crash,
}

impl Letter {
    /// All, in the order in which a cell shows them.
    pub const ALL: [Letter; 9] = [
        Letter::Mark,
        Letter::Port,
        Letter::Address,
        Letter::Interface,
        Letter::Other,
        Letter::Whole,
        Letter::Nothing,
        Letter::Lookup,
        Letter::Crash,
    ];

    /// Its sign where it is predicted. What packets confirmed has the capital.
    pub fn sign(self) -> char {
        match self {
            Letter::Mark => 'm',
            Letter::Port => 'p',
            Letter::Address => 'a',
            Letter::Interface => 'i',
            Letter::Other => 'o',
            Letter::Whole => 'w',
            Letter::Nothing => 'n',
            Letter::Lookup => 'l',
            Letter::Crash => '!',
        }
    }

    /// The letter of a part, by its name: `match mark`, `tcp --dport`, `source`.
    pub fn of_part(name: &str) -> Letter {
        const PROTOCOLS: [&str; 11] = [
            "tcp",
            "udp",
            "udplite",
            "sctp",
            "dccp",
            "icmp",
            "icmp6",
            "icmpv6",
            "ipv6-icmp",
            "multiport",
            "protocol",
        ];
        let name = name.strip_prefix("match ").unwrap_or(name);
        let name = name.strip_prefix("target ").unwrap_or(name);
        let unit = name.split(' ').next().unwrap_or(name);
        let lower = unit.to_ascii_lowercase();
        match lower.as_str() {
            "mark" | "connmark" => Letter::Mark,
            of if PROTOCOLS.contains(&of) => Letter::Port,
            "source" | "destination" | "iprange" | "addrtype" | "dnat" | "snat" | "netmap" => {
                Letter::Address
            }
            "in-interface" | "out-interface" | "physdev" => Letter::Interface,
            _ => Letter::Other,
        }
    }

    fn place(self) -> u32 {
        let place = Letter::ALL.iter().position(|of| *of == self);
        place.map_or(0, |place| u32::try_from(place).unwrap_or(0))
    }
}

/// Some letters, each with whether packets confirmed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Letters(u32);

impl Letters {
    /// One letter.
    pub fn of(letter: Letter, certainty: Certainty) -> Letters {
        let confirmed = match certainty {
            Certainty::Shown => 0b11,
            _ => 0b01,
        };
        Letters(confirmed << (2 * letter.place()))
    }

    /// All of both.
    #[must_use]
    pub fn and(self, other: Letters) -> Letters {
        Letters(self.0 | other.0)
    }

    /// Those without what packets said.
    #[must_use]
    pub fn predicted(self) -> Letters {
        Letters(self.0 & 0x5555_5555)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is one of them.
    pub fn has(self, letter: Letter) -> bool {
        self.0 & (1 << (2 * letter.place())) != 0
    }

    /// Their signs: a capital is what packets confirmed.
    pub fn signs(self) -> String {
        let all = Letter::ALL.into_iter().filter(|letter| self.has(*letter));
        let sign = |letter: Letter| match self.0 & (2 << (2 * letter.place())) {
            0 => letter.sign(),
            _ => letter.sign().to_ascii_uppercase(),
        };
        all.map(sign).collect()
    }
}

/// How a part of a rule goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// It is gone.
    Lost,
    /// It has another value.
    Altered,
    /// It was not there.
    Added,
    /// It is no part: the rule or the table as a whole goes wrong.
    Whole(Verdict),
}

/// A part of a rule that goes wrong; it has no name where it is the rule or the table as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LostPart {
    /// Its letter.
    pub letter: Letter,
    /// How it goes wrong.
    pub how: How,
    /// Its name.
    pub name: String,
}

/// What a harm does to the parts of its rule.
pub(crate) fn parts(harm: &Harm) -> Vec<LostPart> {
    let named = [
        (How::Lost, &harm.lost),
        (How::Altered, &harm.altered),
        (How::Added, &harm.added),
    ];
    let parts = named.into_iter().flat_map(|(how, names)| {
        names.iter().map(move |name| LostPart {
            letter: Letter::of_part(name),
            how,
            name: name.clone(),
        })
    });
    let parts: Vec<LostPart> = parts.collect();
    match parts.is_empty() {
        false => parts,
        true => vec![LostPart {
            letter: of_whole(harm.verdict),
            how: How::Whole(decoded(harm.verdict)),
            name: String::new(),
        }],
    }
}

/// What the writer cannot read after a rewrite is what a reader cannot read of the same encoder.
fn decoded(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Unreadable | Verdict::Incompatible => Verdict::Refused,
        Verdict::Misread | Verdict::Changed | Verdict::Drifts | Verdict::Differs => Verdict::Lossy,
        other => other,
    }
}

fn of_whole(verdict: Verdict) -> Letter {
    match verdict {
        Verdict::Crashed | Verdict::TimedOut => Letter::Crash,
        Verdict::NothingToRestore => Letter::Nothing,
        Verdict::NotFound | Verdict::NotDeleted | Verdict::FoundWrong | Verdict::WrongRule => {
            Letter::Lookup
        }
        _ => Letter::Whole,
    }
}

/// The letters of a harm.
pub(crate) fn letters(harm: &Harm) -> Letters {
    let all = parts(harm).into_iter();
    all.fold(Letters::default(), |all, part| {
        all.and(Letters::of(part.letter, harm.certainty))
    })
}

/// The harms of a cell that readers do who rewrite the whole table, each once.
///
/// What a writer reads otherwise after the rewrite is a harm of its own only where the rewrite kept the rule. A reader that restores its
/// own chains with `--noflush` is another matter, and has its own operation.
pub(super) fn of_whole_table(cell: &Cell, operations: &[Operation]) -> Vec<Harmed> {
    let rewrites = operations.contains(&Operation::Rewrite);
    let mut all = harms(cell);
    for of in &mut all {
        let rewrite = of.rule.and_then(|place| cell.outcome.rules.get(place));
        let rewrite = rewrite.and_then(|rule| rule.of(Operation::Rewrite));
        of.harms.retain(|harm| {
            let is_printed_only = harm.verdict == Verdict::Differs && !rewrites;
            let is_other = match harm.operation {
                Operation::SyncNoflush => true,
                Operation::Recognition => rewrite != Some(Verdict::Kept),
                _ => false,
            };
            (harm.is_harmful() || is_printed_only) && !is_other
        });
    }
    all.retain(|of| !of.harms.is_empty());
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::*;

    #[test]
    fn no_letter_means_two_things() {
        let both = Letter::ALL.map(|of| [of.sign(), of.sign().to_ascii_uppercase()]);
        let signs: BTreeSet<char> = both.into_iter().flatten().collect();
        let letters = Letter::ALL.iter().filter(|of| of.sign().is_alphabetic());
        assert_eq!(signs.len(), Letter::ALL.len() + letters.count());
    }

    #[rstest]
    #[case("match mark", Letter::Mark)]
    #[case("CONNMARK --set-xmark", Letter::Mark)]
    #[case("tcp --dport", Letter::Port)]
    #[case("match udp", Letter::Port)]
    #[case("source", Letter::Address)]
    #[case("out-interface", Letter::Interface)]
    #[case("match comment", Letter::Other)]
    fn a_part_has_a_letter(#[case] part: &str, #[case] letter: Letter) {
        assert_eq!(Letter::of_part(part), letter);
    }

    #[test]
    fn what_packets_confirmed_is_a_capital() {
        let mark = Letters::of(Letter::Mark, Certainty::Shown);
        let port = Letters::of(Letter::Port, Certainty::Unmet);
        assert_eq!(port.and(mark).signs(), "Mp");
        assert_eq!(port.and(mark).predicted().signs(), "mp");
    }
}
