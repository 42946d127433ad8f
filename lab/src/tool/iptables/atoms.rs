//! A rule's words taken apart: which of them make one option with its negation and values, and whose option it is.
//!
//! Nothing is read into the words: aliases stay apart (`--dport` is not `--destination-port`), and values are not
//! understood. A word that belongs to nothing is kept as such, so that no difference can hide in it.

use std::ops::Range;

use super::extensions;

/// What an atom is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `-s`.
    Source,
    /// `-d`.
    Destination,
    /// `-p`.
    Protocol,
    /// `-i`.
    InInterface,
    /// `-o`.
    OutInterface,
    /// `-f`.
    Fragment,
    /// `-4`, `-6`.
    Family,
    /// `-c PACKETS BYTES`.
    Counters,
    /// `-m NAME`: the head of group `group`.
    Match {
        /// Its extension's place among the rule's groups.
        group: usize,
    },
    /// `-j NAME`: the head of group `group`.
    Jump {
        /// Its target's place among the rule's groups.
        group: usize,
    },
    /// `-g CHAIN`.
    Goto {
        /// The chain.
        chain: String,
    },
    /// An option of an extension: `--mark`, `--to-destination`.
    Option {
        /// The extension's place among the rule's groups; none where no extension was named before it.
        group: Option<usize>,
        /// The option's name as written, without an attached value.
        name: String,
    },
    /// Words that no option owns.
    Words,
}

/// The smallest piece that is lost or kept as one: negation, option, values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Atom {
    pub kind: Kind,
    /// Its words among the rule's.
    pub tokens: Range<usize>,
}

/// A match or target of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// `mark`, `DNAT`.
    pub name: String,
    /// Whether it is the target.
    pub target: bool,
}

/// The pieces of a rule, in the order of its words; together they are all of its words.
pub(super) fn atoms<S: AsRef<str>>(words: &[S]) -> Vec<Atom> {
    dissect(words).atoms
}

/// The pieces of a rule and the matches and targets they belong to.
pub(super) fn dissect<S: AsRef<str>>(words: &[S]) -> Dissected {
    let mut dissected = Dissected::default();
    let mut start = 0;
    while start < words.len() {
        start = dissected.take(words, start);
    }
    dissected
}

/// A rule taken apart.
#[derive(Debug, Default)]
pub(super) struct Dissected {
    pub atoms: Vec<Atom>,
    pub groups: Vec<Group>,
    /// The extension that `-p` stands for: `--dport` needs no `-m tcp` after `-p tcp`.
    protocol: Option<&'static str>,
}

impl Dissected {
    /// Takes the atom that begins at `start`; returns where the next one begins.
    fn take<S: AsRef<str>>(&mut self, words: &[S], start: usize) -> usize {
        let head = (start..words.len())
            .find(|&at| words[at].as_ref() != "!")
            .unwrap_or(words.len());
        let Some(word) = words.get(head) else {
            self.push(Kind::Words, start..words.len());
            return words.len();
        };
        let spelled = Spelled::of(word.as_ref());
        let end = values_end(words, head, &spelled);
        let value = match spelled.attached {
            Some(value) => value,
            None if head + 1 < end => words[head + 1].as_ref(),
            None => "",
        };
        let kind = self.kind(&spelled, value);
        self.push(kind, start..end);
        end
    }

    fn push(&mut self, kind: Kind, tokens: Range<usize>) {
        self.atoms.push(Atom { kind, tokens });
    }

    fn kind(&mut self, spelled: &Spelled, value: &str) -> Kind {
        match spelled.base {
            Some(Base::Source) => Kind::Source,
            Some(Base::Destination) => Kind::Destination,
            Some(Base::Protocol) => {
                self.protocol = extensions::of_protocol(value);
                Kind::Protocol
            }
            Some(Base::InInterface) => Kind::InInterface,
            Some(Base::OutInterface) => Kind::OutInterface,
            Some(Base::Fragment) => Kind::Fragment,
            Some(Base::Family) => Kind::Family,
            Some(Base::Counters) => Kind::Counters,
            Some(Base::Goto) => Kind::Goto {
                chain: value.to_owned(),
            },
            Some(Base::Match) => Kind::Match {
                group: self.open(value, false),
            },
            Some(Base::Jump) => Kind::Jump {
                group: self.open(value, true),
            },
            None if spelled.name.starts_with('-') => Kind::Option {
                group: self.owner(spelled.name),
                name: spelled.name.to_owned(),
            },
            None => Kind::Words,
        }
    }

    fn open(&mut self, name: &str, target: bool) -> usize {
        self.groups.push(Group {
            name: name.to_owned(),
            target,
        });
        self.groups.len() - 1
    }

    /// Whose option it is, as getopt finds it: the extension that has it, the newest first; `-j MARK -m comment
    /// --comment … --set-xmark …` is how kube-router writes.
    fn owner(&mut self, option: &str) -> Option<usize> {
        let newest = || (0..self.groups.len()).rev();
        let has = |group: &usize| extensions::has_option(&self.groups[*group].name, option);
        if let Some(group) = newest().find(|group| has(group) == Some(true)) {
            return Some(group);
        }
        if let Some(protocol) = self.protocol
            && extensions::has_option(protocol, option) == Some(true)
        {
            return Some(self.open(protocol, false));
        }
        newest()
            .find(|group| has(group).is_none())
            .or_else(|| newest().next())
    }
}

/// The options of every rule, whatever its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Source,
    Destination,
    Protocol,
    InInterface,
    OutInterface,
    Fragment,
    Family,
    Counters,
    Match,
    Jump,
    Goto,
}

const BASE: [(Base, &str, &[&str]); 12] = [
    (Base::Source, "-s", &["--source", "--src"]),
    (Base::Destination, "-d", &["--destination", "--dst"]),
    (Base::Protocol, "-p", &["--protocol", "--proto"]),
    (Base::InInterface, "-i", &["--in-interface"]),
    (Base::OutInterface, "-o", &["--out-interface"]),
    (Base::Fragment, "-f", &["--fragment", "--fragments"]),
    (Base::Family, "-4", &["--ipv4"]),
    (Base::Family, "-6", &["--ipv6"]),
    (Base::Counters, "-c", &["--set-counters"]),
    (Base::Match, "-m", &["--match"]),
    (Base::Jump, "-j", &["--jump"]),
    (Base::Goto, "-g", &["--goto"]),
];

impl Base {
    fn takes_a_value(self) -> bool {
        !matches!(self, Base::Fragment | Base::Family)
    }
}

/// A word as an option: its name, and the value that is attached to it (`--mark=1`, `-jDROP`).
struct Spelled<'a> {
    base: Option<Base>,
    name: &'a str,
    attached: Option<&'a str>,
}

impl<'a> Spelled<'a> {
    fn of(word: &'a str) -> Self {
        let (name, attached) = match word.starts_with("--") {
            true => match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word, None),
            },
            false => (word, None),
        };
        let whole = BASE
            .iter()
            .find(|(_, short, long)| name == *short || long.contains(&name));
        if let Some((base, ..)) = whole {
            let base = Some(*base);
            return Spelled {
                base,
                name,
                attached,
            };
        }
        let joined = BASE
            .iter()
            .find(|(base, short, _)| base.takes_a_value() && word.starts_with(short));
        match joined {
            Some((base, short, _)) => Spelled {
                base: Some(*base),
                name: short,
                attached: Some(&word[short.len()..]),
            },
            None => Spelled {
                base: None,
                name,
                attached,
            },
        }
    }
}

/// Where the values of the option at `head` end. The first word after an option that always takes one is its value,
/// whatever it looks like (`--comment "-j"`); further ones are values as long as they do not look like options.
fn values_end<S: AsRef<str>>(words: &[S], head: usize, spelled: &Spelled) -> usize {
    let takes_one = spelled.attached.is_none()
        && (spelled.base.is_some_and(Base::takes_a_value)
            || extensions::takes_any_text(spelled.name));
    let first = match takes_one {
        true => words.len().min(head + 2),
        false => head + 1,
    };
    (first..words.len())
        .find(|&at| looks_like_an_option(words[at].as_ref()))
        .unwrap_or(words.len())
}

fn looks_like_an_option(word: &str) -> bool {
    let mut letters = word.chars();
    match (letters.next(), letters.next()) {
        (Some('!'), None) => true,
        (Some('-'), Some(second)) => !second.is_ascii_digit() || matches!(word, "-4" | "-6"),
        _ => false,
    }
}
