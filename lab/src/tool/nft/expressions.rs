//! Rules that nft wrote, as an iptables wrote them anew: what does the same to packets, and what is gone.
//!
//! Of these no print proves anything: every iptables prints a native rule that matches a set without that match. So the
//! kernel's expressions are compared, by what they mean.

use crate::catalog::Family;
use crate::tool::change::Weight;
use crate::tool::nft::meaning::{Essential, Means, Piece, in_any_order, pieces};
use crate::tool::{Change, Difference, HeldRule, Rewritten};

/// What became of `was` in `is`, rules of tables of `family`.
pub fn rewritten(family: Family, was: HeldRule<'_>, is: HeldRule<'_>) -> Rewritten {
    let (before, after) = (pieces(family, was), pieces(family, is));
    let (was, is) = (was.rule, is.rule);
    let (meant, means) = (meanings(&before), meanings(&after));
    let same_compat = was.compat == is.compat || !meant.iter().any(Means::is_of_xtables);
    if in_any_order(&meant) == in_any_order(&means) && same_compat && was.other == is.other {
        return Rewritten::Same;
    }
    let (before, after) = (unless_kept(&before, &means), unless_kept(&after, &meant));
    let (gone, added) = (without(&before, &after), without(&after, &before));
    if added.is_empty() && !gone.is_empty() {
        return Rewritten::Lost(Difference {
            lost: gone.into_iter().map(lost).collect(),
            ..Difference::default()
        });
    }
    let printed = |all: Vec<&Essential<'_>>| all.iter().map(ToString::to_string).collect();
    Rewritten::Another {
        gone: printed(gone),
        new: printed(added),
    }
}

/// Whether two rules of tables of `family` are known to do the same to packets, whoever wrote them.
pub fn mean_the_same(family: Family, one: HeldRule<'_>, other: HeldRule<'_>) -> bool {
    rewritten(family, one, other) == Rewritten::Same
}

fn meanings<'e>(pieces: &[Piece<'e>]) -> Vec<Means<'e>> {
    pieces.iter().map(|piece| piece.means.clone()).collect()
}

/// The essentials of a rule's pieces, without those that `other` has too in another encoding.
fn unless_kept<'e>(own: &[Piece<'e>], other: &[Means<'e>]) -> Vec<Essential<'e>> {
    let is_kept = |piece: &&Piece<'e>| match &piece.means {
        Means::AsItIs(_) => false,
        means => other.contains(means),
    };
    let left = own.iter().filter(|piece| !is_kept(piece));
    left.flat_map(|piece| piece.as_it_is.clone()).collect()
}

/// The kernel's expressions that look at a packet.
const MATCHING: [&str; 12] = [
    "bitwise",
    "byteorder",
    "cmp",
    "ct",
    "exthdr",
    "fib",
    "lookup",
    "match",
    "meta",
    "payload",
    "range",
    "socket",
];

/// What the loss of an expression does, by its name.
pub fn weight(name: &str) -> Weight {
    if MATCHING.contains(&name) {
        Weight::Condition
    } else {
        Weight::Other
    }
}

fn lost(essential: &Essential<'_>) -> Change {
    Change {
        part: format!("expression {}", essential.name()),
        from: Some(essential.to_string()),
        to: None,
    }
}

/// Those of `own` that `other` has not, each as often as it has more of it.
fn without<'o, 'e>(own: &'o [Essential<'e>], other: &'o [Essential<'e>]) -> Vec<&'o Essential<'e>> {
    let mut rest: Vec<&Essential<'_>> = other.iter().collect();
    let mut left = Vec::new();
    for essential in own {
        match rest.iter().position(|known| *known == essential) {
            Some(at) => drop(rest.remove(at)),
            None => left.push(essential),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::observed::expression::Expression;
    use crate::observed::{Compat, NftRule, NftSet};

    fn rule(expressions: &[&str]) -> NftRule {
        NftRule {
            expressions: expressions
                .iter()
                .map(|of| Arc::new(Expression::read(of)))
                .collect(),
            other: Vec::new(),
            compat: None,
            userdata: None,
        }
    }

    fn became(was: &[&str], is: &[&str]) -> Rewritten {
        rewritten(Family::Ipv4, held(&rule(was), &[]), held(&rule(is), &[]))
    }

    fn held<'k>(rule: &'k NftRule, sets: &'k [NftSet]) -> HeldRule<'k> {
        HeldRule { rule, sets }
    }

    const ACCEPT: &str = "immediate reg 0 accept";
    const LO: &str = "meta load iifname => reg 1";
    const LO_OF_NFT: &str = "cmp eq reg 1 0x00006f6c 0x00000000 0x00000000 0x00000000";

    /// Payloads as Debian's iptables 1.8.7 wrote them, and what nft 1.1.3 loaded of its own listing of these rules.
    #[rstest]
    #[case::mark(
        "match name mark rev 1 info 0x00800000008000000000000000000000".to_owned(),
        &[
            "meta load mark => reg 1", "bitwise reg 1 = ( reg 1 & 0x00008000 ) ^ 0x00000000",
            "cmp eq reg 1 0x00008000"
        ],
        true
    )]
    #[case::other_mark(
        "match name mark rev 1 info 0x00800000008000000100000000000000".to_owned(),
        &[
            "meta load mark => reg 1", "bitwise reg 1 = ( reg 1 & 0x00008000 ) ^ 0x00000000",
            "cmp eq reg 1 0x00008000"
        ],
        false
    )]
    #[case::mark_lost("match name mark rev 1 info 0x00800000008000000000000000000000".to_owned(), &[], false)]
    #[case::states(conntrack("0100", "0000", "0600"), &STATES, true)]
    #[case::state_by_its_old_name(conntrack("0120", "0000", "0600"), &STATES, true)]
    #[case::all_but_these_states(conntrack("0100", "0100", "0600"), &STATES, false)]
    #[case::translated(conntrack("0100", "0000", "8600"), &STATES, false)]
    #[case::protocol_too(conntrack("0300", "0000", "0600"), &STATES, false)]
    #[case::masquerade(
        "target name MASQUERADE rev 0 info 0x010000000000000000000000000000000000000000000000".to_owned(),
        &["masq"],
        true
    )]
    #[case::masquerade_at_random(
        "target name MASQUERADE rev 0 info 0x010000000400000000000000000000000000000000000000".to_owned(),
        &["masq"],
        false
    )]
    fn what_xtables_does_nf_tables_does_itself(
        #[case] was: String,
        #[case] is: &[&str],
        #[case] same: bool,
    ) {
        let (was, is) = ([was.as_str(), ACCEPT], [is, &[ACCEPT]].concat());
        // What protocol xtables took the packets for counts no more.
        let was = NftRule {
            compat: Some(Compat::default()),
            ..rule(&was)
        };
        let is = rule(&is);
        let same_now = mean_the_same(Family::Ipv4, held(&was, &[]), held(&is, &[]));
        assert_eq!(same_now, same);
    }

    const STATES: [&str; 3] = [
        "ct load state => reg 1",
        "bitwise reg 1 = ( reg 1 & 0x00000006 ) ^ 0x00000000",
        "cmp neq reg 1 0x00000000",
    ];

    /// A match of conntrack that looks at this, inverted so, with these states.
    fn conntrack(looks_at: &str, inverted: &str, states: &str) -> String {
        let (before, after) = ("00".repeat(146), "00".repeat(12));
        format!("match name conntrack rev 3 info 0x{before}{looks_at}{inverted}{states}{after}")
    }

    #[rstest]
    #[case::counter(&[ACCEPT], &["counter", ACCEPT], true)]
    #[case::comment(&[ACCEPT], &["match name comment rev 0 info 0x61", "counter", ACCEPT], true)]
    #[case::interface(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x006f6c", "counter", ACCEPT], true)]
    #[case::beginning_of_a_name(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x6f6c", ACCEPT], false)]
    #[case::another_name(&[LO, LO_OF_NFT, ACCEPT], &[LO, "cmp eq reg 1 0x006f6d", ACCEPT], false)]
    #[case::no_name(
        &["meta load mark => reg 1", "cmp eq reg 1 0x00006f6c 0x00000000", ACCEPT],
        &["meta load mark => reg 1", "cmp eq reg 1 0x00006f6c", ACCEPT],
        false
    )]
    #[case::protocol(
        &["meta load l4proto => reg 1", "cmp eq reg 1 0x06", ACCEPT],
        &["payload load 1b @ network header + 9 => reg 1", "cmp eq reg 1 0x06", "counter", ACCEPT],
        true
    )]
    #[case::whole_address(
        &["payload load 4b @ network header + 12 => reg 1", "cmp eq reg 1 0x010200c0", ACCEPT],
        &[
            "payload load 4b @ network header + 12 => reg 1",
            "bitwise reg 1 = ( reg 1 & 0xffffffff ) ^ 0x00000000",
            "cmp eq reg 1 0x010200c0",
            ACCEPT,
        ],
        true
    )]
    #[case::part_of_an_address(
        &["cmp eq reg 1 0x010200c0", ACCEPT],
        &["bitwise reg 1 = ( reg 1 & 0x00ffffff ) ^ 0x00000000", "cmp eq reg 1 0x010200c0", ACCEPT],
        false
    )]
    #[case::order(&["cmp eq reg 1 0x06", "limit", ACCEPT], &["limit", "cmp eq reg 1 0x06", ACCEPT], false)]
    #[case::order_of_tests(
        &[LO, LO_OF_NFT, "payload load 4b @ network header + 16 => reg 1", "cmp eq reg 1 0x010200c0", ACCEPT],
        &["payload load 4b @ network header + 16 => reg 1", "cmp eq reg 1 0x010200c0", LO, "cmp eq reg 1 0x006f6c", ACCEPT],
        true
    )]
    #[case::order_of_tests_around_a_limit(
        &[LO, LO_OF_NFT, "limit", "meta load mark => reg 1", "cmp eq reg 1 0x01000000", ACCEPT],
        &["meta load mark => reg 1", "cmp eq reg 1 0x01000000", "limit", LO, LO_OF_NFT, ACCEPT],
        false
    )]
    #[case::which_is_compared(
        &[LO, LO_OF_NFT, "meta load mark => reg 1", "cmp eq reg 1 0x01000000", ACCEPT],
        &["meta load mark => reg 1", LO_OF_NFT, LO, "cmp eq reg 1 0x01000000", ACCEPT],
        false
    )]
    #[case::comparisons_of_one_value(
        &["meta load mark => reg 1", "cmp gte reg 1 0x01000000", "cmp lte reg 1 0x09000000", ACCEPT],
        &["meta load mark => reg 1", "cmp lte reg 1 0x09000000", "cmp gte reg 1 0x01000000", ACCEPT],
        false
    )]
    #[case::prefix(
        &["payload load 2b @ network header + 16 => reg 1", "cmp eq reg 1 0xa8c0", ACCEPT],
        &[
            "payload load 4b @ network header + 16 => reg 1",
            "bitwise reg 1 = ( reg 1 & 0x0000ffff ) ^ 0x00000000",
            "cmp eq reg 1 0x0000a8c0",
            ACCEPT,
        ],
        true
    )]
    #[case::range(
        &["payload load 2b @ transport header + 2 => reg 1", "cmp gte reg 1 0x2100", "cmp lte reg 1 0x2d00", ACCEPT],
        &["payload load 2b @ transport header + 2 => reg 1", "range eq reg 1 0x2100 0x2d00", ACCEPT],
        true
    )]
    #[case::no_route(
        &["fib saddr . iif oif present => reg 1", "cmp eq reg 1 0x00000000", ACCEPT],
        &["fib saddr . iif oif present => reg 1", "cmp eq reg 1 0x00", ACCEPT],
        true
    )]
    #[case::no_interface(
        &["fib saddr . iif oif => reg 1", "cmp eq reg 1 0x00000000", ACCEPT],
        &["fib saddr . iif oif => reg 1", "cmp eq reg 1 0x00", ACCEPT],
        false
    )]
    #[case::verdict(&[ACCEPT], &["immediate reg 0 drop"], false)]
    fn what_means_the_same(#[case] was: &[&str], #[case] is: &[&str], #[case] same: bool) {
        assert_eq!(became(was, is) == Rewritten::Same, same);
    }

    #[test]
    fn a_match_that_is_gone_is_named_and_widens_the_rule() {
        let was = ["lookup reg 1 set __set0 0x0", ACCEPT];
        let Rewritten::Lost(difference) = became(&was, &["counter", ACCEPT]) else {
            panic!("it has lost an expression");
        };
        assert_eq!(difference.lost[0].part, "expression lookup");
        assert!(difference.widened());
        let Rewritten::Lost(difference) = became(&was, &["lookup reg 1 set __set0 0x0"]) else {
            panic!("it has lost an expression");
        };
        assert!(
            !difference.widened(),
            "what it does is gone, not what it matches"
        );
    }

    #[test]
    fn another_encoding_is_told_in_the_kernels_words() {
        let was = ["meta load mark => reg 1", ACCEPT];
        let Rewritten::Another { gone, new } =
            became(&was, &["match name mark rev 1 info 0x00", ACCEPT])
        else {
            panic!("it is another rule for all that is known");
        };
        assert_eq!(gone, ["meta load mark => reg 1"]);
        assert_eq!(new, ["match name mark rev 1 info 0x00"]);
    }

    #[test]
    fn xtables_protocol_counts_where_xtables_matches_and_nowhere_else() {
        let with_compat = |expression: &str, compat: Option<Compat>| NftRule {
            compat,
            ..rule(&[expression, ACCEPT])
        };
        let tcp = || Compat {
            protocol: Some(6),
            ..Compat::default()
        };
        let same = |expression| {
            let (was, is) = (
                with_compat(expression, None),
                with_compat(expression, Some(tcp())),
            );
            rewritten(Family::Ipv4, held(&was, &[]), held(&is, &[])) == Rewritten::Same
        };
        assert!(same("meta load mark => reg 1"));
        assert!(!same("match name tcp rev 0 info 0x00"));
    }
}
