//! The ends of a cause among releases: where it begins and ceases to be encoded so, and to be misread so.

use std::collections::BTreeSet;

use crate::catalog::{Build, BuildId, Origin, Tool};
use crate::cause::{Cause, Own, PairSeen};

/// One end of a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndOf {
    /// The first commit that encodes so.
    EncodedSince,
    /// The first that encodes otherwise again.
    EncodedUntil,
    /// The first that decodes it so.
    MisreadSince,
    /// The first that decodes it right.
    Mended,
}

/// What is known of an end before a commit is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End<'m> {
    /// Somewhere between two releases.
    Between(Box<Between<'m>>),
    /// It is not among the releases that ran, and why.
    Not(String),
}

/// An end that lies between two releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Between<'m> {
    /// The last release before it.
    pub before: &'m Build,
    /// The first release after it.
    pub after: &'m Build,
    /// The build that stays, while commits between the two take the other side.
    pub partner: &'m Build,
    /// Whether the cause is there after the end, or was before it.
    pub begins: bool,
    /// Where it is seen with the partner.
    pub seen: PairSeen,
}

impl EndOf {
    /// All of them.
    pub const ALL: [EndOf; 4] = [
        EndOf::EncodedSince,
        EndOf::EncodedUntil,
        EndOf::MisreadSince,
        EndOf::Mended,
    ];

    /// Whether it is an end of who encodes.
    pub fn is_of_encoder(self) -> bool {
        matches!(self, EndOf::EncodedSince | EndOf::EncodedUntil)
    }

    fn begins(self) -> bool {
        matches!(self, EndOf::EncodedSince | EndOf::MisreadSince)
    }

    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            EndOf::EncodedSince => "encoded so since",
            EndOf::EncodedUntil => "encoded so until",
            EndOf::MisreadSince => "misread since",
            EndOf::Mended => "mended by",
        }
    }
}

/// The end of a cause among the releases of `tool` that ran.
pub fn end<'m>(cause: &Cause, builds: &'m [Build], of: EndOf, tool: Tool) -> End<'m> {
    let is_own = cause.signatures.keys().all(|of| of.own == Own::Itself);
    if of.is_of_encoder() && is_own {
        return End::Not("whoever encoded it".to_owned());
    }
    let side = |(by, reader): &'_ (BuildId, BuildId)| match of.is_of_encoder() {
        true => (by.clone(), reader.clone()),
        false => (reader.clone(), by.clone()),
    };
    let pairs: Vec<((BuildId, BuildId), &PairSeen)> = cause
        .pairs
        .iter()
        .map(|(pair, seen)| (side(pair), seen))
        .collect();
    let shown: BTreeSet<&BuildId> = pairs.iter().map(|((on, _), _)| on).collect();
    // Of the backend of those that show it.
    let backends = builds.iter().filter(|build| shown.contains(&build.id));
    let backends: BTreeSet<_> = backends.map(|build| build.backend).collect();
    let mut releases: Vec<&Build> = builds
        .iter()
        .filter(|build| build.tool == tool && backends.contains(&build.backend))
        .filter(|build| build.origin != Origin::Debian && build.variant.is_none())
        .filter(|build| build.id.stem(tool, build.backend) == build.version.release())
        .collect();
    releases.sort_by(|one, other| one.version.cmp(&other.version));
    let is_in = |build: &&Build| shown.contains(&build.id);
    let first = releases.iter().position(is_in);
    let last = releases.iter().rposition(is_in);
    let (Some(first), Some(last)) = (first, last) else {
        return End::Not(format!("no release of {tool} that ran shows it"));
    };
    let (before, after, shows) = match of.begins() {
        true => match first.checked_sub(1) {
            Some(before) => (releases[before], releases[first], releases[first]),
            None => return End::Not(format!("before {}", releases[0].version)),
        },
        false => match releases.get(last + 1) {
            Some(after) => (releases[last], *after, releases[last]),
            None => return End::Not(format!("not up to {}", releases[last].version)),
        },
    };
    let partners = pairs.iter().filter(|((on, _), _)| *on == shows.id);
    let partners = partners.filter_map(|((_, partner), seen)| {
        let build = builds.iter().find(|build| build.id == *partner)?;
        Some((build, *seen))
    });
    // A release before others: it is not of some distribution, nor the one that is looked for.
    let best = partners.min_by_key(|(build, seen)| {
        let is_debian = build.origin == Origin::Debian;
        (is_debian, seen.rules, (*seen).clone())
    });
    match best {
        Some((partner, seen)) => End::Between(Box::new(Between {
            before,
            after,
            partner,
            begins: of.begins(),
            seen: seen.clone(),
        })),
        None => End::Not("it is seen only together with others".to_owned()),
    }
}
