//! Rules that nft wrote, as an iptables wrote them anew: what does the same to packets, and what is gone.
//!
//! Of these no print proves anything: every iptables prints a native rule that matches a set without that match. So the
//! kernel's expressions are compared, and what two encodings are known to mean alike is told here, nowhere else.

use std::borrow::Cow;

use super::kernel::KernelRule;
use crate::catalog::Family;
use crate::observed::NftRule;
use crate::ruleset::{Change, Difference};

/// What a rule of nft's has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anew {
    /// It does the same to packets.
    Same,
    /// It has lost these expressions, and has no others instead.
    Lost(Difference),
    /// Another, for all that is known: which expressions it has no more, and which instead.
    Another(String),
}

/// What became of `was` in `is`, rules of tables of `family`.
pub fn anew(family: Family, was: &KernelRule<'_>, is: &KernelRule<'_>) -> Anew {
    let (KernelRule::Nft(old, old_reach), KernelRule::Nft(new, new_reach)) = (was, is) else {
        return Anew::Another("the kernel's rule is of another kind".to_owned());
    };
    let (before, after) = (essence(family, old), essence(family, new));
    let uses_xtables = |essence: &[Cow<'_, str>]| {
        let kinds = ["match ", "target "];
        let mut expressions = essence.iter();
        expressions.any(|of| kinds.iter().any(|kind| of.starts_with(kind)))
    };
    let same_compat = old.compat == new.compat || !uses_xtables(&before);
    if before == after && same_compat && old_reach == new_reach {
        return Anew::Same;
    }
    let (gone, added) = (without(&before, &after), without(&after, &before));
    if added.is_empty() && !gone.is_empty() {
        return Anew::Lost(Difference {
            lost: gone.iter().map(|expression| lost(expression)).collect(),
            ..Difference::default()
        });
    }
    let listed = |which: &str, all: &[&str]| match all {
        [] => String::new(),
        all => format!("; {which}: [{}]", all.join("] [")),
    };
    let (gone, added) = (listed("gone", &gone), listed("new", &added));
    Anew::Another(format!(
        "the kernel holds another rule, and no print proves it the same{gone}{added}"
    ))
}

fn lost(expression: &str) -> Change {
    let kind = expression.split(' ').next().unwrap_or_default();
    Change {
        part: format!("expression {kind}"),
        from: Some(expression.to_owned()),
        to: None,
    }
}

/// Those of `own` that `other` has not, each as often as it has more of it.
fn without<'e>(own: &'e [Cow<'_, str>], other: &[Cow<'_, str>]) -> Vec<&'e str> {
    let mut rest: Vec<&str> = other.iter().map(AsRef::as_ref).collect();
    let mut left = Vec::new();
    for expression in own.iter().map(AsRef::as_ref) {
        match rest.iter().position(|known| *known == expression) {
            Some(at) => drop(rest.remove(at)),
            None => left.push(expression),
        }
    }
    left
}

/// The expressions that decide about packets, in one of the wordings that mean the same.
fn essence(family: Family, rule: &NftRule) -> Vec<Cow<'_, str>> {
    let mut essence = Vec::new();
    let mut names_interface = false;
    for expression in &rule.expressions {
        // Counters and comments decide nothing; iptables adds the one to every rule, and writes the other as a match.
        let idle = **expression == *"counter" || expression.starts_with("match name comment ");
        if idle || keeps_every_bit(expression) {
            continue;
        }
        let known = match names_interface {
            true => name_compared(expression),
            false => protocol_loaded(family, expression),
        };
        names_interface = ["iifname", "oifname"]
            .iter()
            .any(|name| expression.starts_with(&format!("meta load {name} ")));
        essence.push(known.map_or(Cow::Borrowed(&**expression), Cow::Owned));
    }
    essence
}

/// `bitwise reg 1 = ( reg 1 & 0xffffffff ) ^ 0x00000000`: up to 1.8.5 iptables masks a whole address so.
fn keeps_every_bit(expression: &str) -> bool {
    let masked = expression.strip_prefix("bitwise ").and_then(|rest| {
        let (to, rest) = rest.split_once(" = ( ")?;
        let (from, rest) = rest.split_once(" & ")?;
        let (mask, flip) = rest.split_once(" ) ^ ")?;
        (to == from).then_some((mask, flip))
    });
    let all = |words: &str, digit: char| {
        let mut words = words.split(' ');
        words.all(|word| {
            let digits = word.strip_prefix("0x").unwrap_or_default();
            !digits.is_empty() && digits.chars().all(|c| c == digit)
        })
    };
    masked.is_some_and(|(mask, flip)| all(mask, 'f') && all(flip, '0'))
}

/// From 1.8.10 on iptables takes the protocol of IPv4 from the header, and nft from what the kernel knows of the packet:
/// `meta load l4proto` is that very byte.
fn protocol_loaded(family: Family, expression: &str) -> Option<String> {
    let register = expression.strip_prefix("payload load 1b @ network header + 9 => ")?;
    (family == Family::Ipv4).then(|| format!("meta load l4proto => {register}"))
}

/// What the name of an interface is compared with, up to the zero that ends it: nft compares all sixteen bytes, which
/// are zeros from there on, and iptables no more than that one. A name's beginning (`eth*`) has no such zero.
fn name_compared(expression: &str) -> Option<String> {
    let words: Vec<&str> = expression.split(' ').collect();
    let [cmp @ "cmp", how, reg @ "reg", register, data @ ..] = words.as_slice() else {
        return None;
    };
    let mut bytes = Vec::new();
    for word in data {
        // Words are printed in the machine's order: the last digits are the first byte.
        let digits = word.strip_prefix("0x").filter(|digits| digits.is_ascii())?;
        let pairs = digits.as_bytes().rchunks(2);
        bytes.extend(pairs.filter_map(|pair| std::str::from_utf8(pair).ok()));
    }
    let end = bytes.iter().position(|byte| *byte == "00");
    bytes.truncate(end.map_or(bytes.len(), |end| end + 1));
    Some(format!("{cmp} {how} {reg} {register} {}", bytes.join(" ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;

    fn rule(expressions: &[&str]) -> NftRule {
        NftRule {
            expressions: expressions.iter().map(|e| (*e).into()).collect(),
            compat: None,
            userdata: None,
        }
    }

    fn became(was: &[&str], is: &[&str]) -> Anew {
        let (was, is) = (Arc::new(rule(was)), Arc::new(rule(is)));
        anew(
            Family::Ipv4,
            &KernelRule::Nft(&was, None),
            &KernelRule::Nft(&is, None),
        )
    }

    const ACCEPT: &str = "immediate reg 0 accept";
    const LO: &str = "meta load iifname => reg 1";
    const LO_OF_NFT: &str = "cmp eq reg 1 0x00006f6c 0x00000000 0x00000000 0x00000000";

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
    #[case::verdict(&[ACCEPT], &["immediate reg 0 drop"], false)]
    fn what_means_the_same(#[case] was: &[&str], #[case] is: &[&str], #[case] same: bool) {
        assert_eq!(became(was, is) == Anew::Same, same);
    }

    #[test]
    fn a_match_that_is_gone_is_named_and_widens_the_rule() {
        let was = ["lookup reg 1 set __set0 0x0", ACCEPT];
        let Anew::Lost(difference) = became(&was, &["counter", ACCEPT]) else {
            panic!("it has lost an expression");
        };
        assert_eq!(difference.lost[0].part, "expression lookup");
        assert!(difference.widened());
        let Anew::Lost(difference) = became(&was, &["lookup reg 1 set __set0 0x0"]) else {
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
        let Anew::Another(reason) = became(&was, &["match name mark rev 1 info 0x00", ACCEPT])
        else {
            panic!("it is another rule for all that is known");
        };
        assert!(reason.ends_with(
            "; gone: [meta load mark => reg 1]; new: [match name mark rev 1 info 0x00]"
        ));
    }

    #[test]
    fn xtables_protocol_counts_where_xtables_matches_and_nowhere_else() {
        let with_compat = |expression: &str, compat: Option<&str>| NftRule {
            compat: compat.map(str::to_owned),
            ..rule(&[expression, ACCEPT])
        };
        let same = |expression| {
            let (was, is) = (
                Arc::new(with_compat(expression, None)),
                Arc::new(with_compat(expression, Some("tcp"))),
            );
            let rules = (KernelRule::Nft(&was, None), KernelRule::Nft(&is, None));
            anew(Family::Ipv4, &rules.0, &rules.1) == Anew::Same
        };
        assert!(same("meta load mark => reg 1"));
        assert!(!same("match name tcp rev 0 info 0x00"));
    }
}
