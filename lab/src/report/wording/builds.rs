//! Builds and ranges of builds, as people read them.

use crate::matrix::{BuildName, BuildSet, NameKind, Span};

/// A set of builds: `iptables-nft 1.8.8 to 1.8.13 and iptables-legacy 1.8.4`. Both ends of a range are builds that ran.
pub fn builds(set: &BuildSet) -> String {
    by_program(set, |_| None)
}

/// The same in less room: of several programs, one of which every build is in the set has no names, `nft (all 4)`.
pub fn builds_by_number(set: &BuildSet) -> String {
    let mut kinds: Vec<_> = set.spans().iter().map(|of| (of.tool, of.backend)).collect();
    kinds.dedup();
    by_program(set, |spans| {
        let of_kind = spans.iter().map(|span| span.names.len()).sum::<usize>();
        let is_whole = spans.first().is_some_and(|span| set.has_every(span));
        (is_whole && of_kind > 2 && kinds.len() > 1).then(|| format!("(all {of_kind})"))
    })
}

/// The builds of each program: what is said in place of their ranges, or these.
fn by_program(set: &BuildSet, instead: impl Fn(&[Span]) -> Option<String>) -> String {
    let alike = |one: &Span, next: &Span| (one.tool, one.backend) == (next.tool, next.backend);
    let kinds = set.spans().chunk_by(alike).filter_map(|kind| {
        let tool = program(kind.first()?);
        let ranges = || kind.iter().map(range).collect::<Vec<_>>().join(", ");
        Some(format!("{tool} {}", instead(kind).unwrap_or_else(ranges)))
    });
    kinds.collect::<Vec<_>>().join(" and ")
}

/// A set of builds where there is little room: `iptables-nft 1.8.8 and 5 more builds`.
pub fn builds_in_short(set: &BuildSet) -> String {
    let first = set.spans().first();
    let first = first.and_then(|span| Some((program(span), name(span.names.first()?))));
    let Some((tool, name)) = first else {
        return String::new();
    };
    match set.ids().count() {
        0 | 1 => format!("{tool} {name}"),
        2 => format!("{tool} {name} and 1 more build"),
        all => format!("{tool} {name} and {} more builds", all - 1),
    }
}

/// The program that builds are of: `iptables-nft`, `nft`.
fn program(span: &Span) -> String {
    span.tool.commands().program(span.backend)
}

/// Builds in a row by their names: both where there are two, the first and the last where there are more.
pub(super) fn range(span: &Span) -> String {
    match span.names.as_slice() {
        [first, _, .., last] => format!("{} to {}", name(first), name(last)),
        few => few.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}

fn name(name: &BuildName) -> String {
    match name.kind {
        NameKind::Released | NameKind::Own => name.stem.clone(),
        NameKind::InPlace => format!("{} (own build)", name.stem),
    }
}
