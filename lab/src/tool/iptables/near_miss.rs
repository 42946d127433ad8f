//! Near misses: a rule with one value changed. Whoever finds one where only the rule itself is compares less than all.

use std::net::IpAddr;

use super::atoms::{Atom, Kind, dissect};
use crate::tool::NearMiss;

/// The near misses of a rule, given what follows `-A CHAIN`: one for each value that can be changed to another that
/// iptables takes in the same place. Values that name something that must exist are left as they are.
pub fn near_misses(tokens: &[String]) -> Vec<NearMiss> {
    let atoms = dissect(tokens).atoms;
    let near_miss = |atom: &Atom| {
        let words = &tokens[atom.tokens.clone()];
        let head = words.iter().position(|word| word != "!")?;
        let (option, values) = (&words[head], &words[head + 1..]);
        let (place, value) = other_value(&atom.kind, option, values)?;
        let mut changed = tokens.to_vec();
        changed[atom.tokens.start + head + 1 + place] = value;
        Some(NearMiss {
            tokens: changed,
            option: option.clone(),
        })
    };
    atoms.iter().filter_map(near_miss).collect()
}

/// A rule with its matches in another order, given what follows `-A CHAIN`: the last one first. The target and the rule's own
/// options stay where they are. None where there are not two matches.
pub fn reordered(tokens: &[String]) -> Option<Vec<String>> {
    let atoms = dissect(tokens).atoms;
    let belongs = |atom: &Atom| match atom.kind {
        Kind::Match { group } => Some(group),
        Kind::Option { group, .. } => group,
        _ => None,
    };
    // Each match with its options. A `-p` may stand for a match of that name, which is no group here that begins with `-m`.
    let mut matches: Vec<(usize, Vec<String>)> = Vec::new();
    for atom in &atoms {
        let words = &tokens[atom.tokens.clone()];
        match (&atom.kind, belongs(atom)) {
            (Kind::Match { group }, _) => matches.push((*group, words.to_vec())),
            (_, Some(group)) => {
                if let Some((_, known)) = matches.iter_mut().find(|(of, _)| *of == group) {
                    known.extend_from_slice(words);
                }
            }
            (_, None) => {}
        }
    }
    if matches.len() < 2 {
        return None;
    }
    let of_match = |atom: &&Atom| {
        let group = belongs(atom);
        group.is_some_and(|group| matches.iter().any(|(of, _)| *of == group))
    };
    let first = atoms.iter().position(|atom| of_match(&atom))?;
    let other = |atom: &&Atom| !of_match(atom);
    let words = |atom: &Atom| tokens[atom.tokens.clone()].to_vec();
    let before = atoms[..first].iter().flat_map(words);
    let after = atoms[first..].iter().filter(other).flat_map(words);
    let turned = matches.iter().rev().flat_map(|(_, words)| words.clone());
    Some(before.chain(turned).chain(after).collect())
}

/// Another value for one of the words of an option: the word's place among them, and the value.
fn other_value(kind: &Kind, option: &str, values: &[String]) -> Option<(usize, String)> {
    let first = values.first()?;
    let other = match kind {
        Kind::Source | Kind::Destination => other_address(first),
        Kind::InInterface | Kind::OutInterface => Some(other_interface(first)),
        Kind::Jump { .. } => other_verdict(first),
        Kind::Option { .. } => return other_option_value(option, values),
        Kind::Protocol
        | Kind::Fragment
        | Kind::Family
        | Kind::Counters
        | Kind::Match { .. }
        | Kind::Goto { .. }
        | Kind::Words => None,
    };
    Some((0, other?))
}

fn other_option_value(option: &str, values: &[String]) -> Option<(usize, String)> {
    let first = values.first()?;
    let other = match option {
        "--mark" | "--set-xmark" | "--set-mark" => other_mark(first),
        "--sport" | "--source-port" | "--dport" | "--destination-port" | "--to-ports" => {
            other_number(first)
        }
        "--sports" | "--dports" | "--ports" | "--source-ports" | "--destination-ports" => {
            other_number(first)
        }
        "--uid-owner" | "--gid-owner" | "--length" | "--ttl-eq" | "--every" | "--nflog-group"
        | "--limit-burst" | "--hitcount" | "--seconds" | "--on-port" | "--queue-num"
        | "--connlimit-above" => other_number(first),
        "--comment" | "--name" => Some(format!("{first}x")),
        "--log-prefix" => Some(other_text(first, LOG_PREFIX)),
        "--nflog-prefix" => Some(other_text(first, NFLOG_PREFIX)),
        "--physdev-in" | "--physdev-out" => Some(other_interface(first)),
        "--ctstate" | "--state" => Some(other_state(first)),
        "--src-type" | "--dst-type" => other_word(first, &["LOCAL", "BROADCAST"]),
        "--to-destination" | "--to-source" => other_nat(first),
        "--ctorigdst" | "--ctorigsrc" => other_address(first),
        // The set must exist: only the direction is another.
        "--match-set" => {
            let direction = values.get(1)?;
            let turned = match direction.strip_prefix("src") {
                Some(rest) => format!("dst{rest}"),
                None => format!("src{}", direction.strip_prefix("dst")?),
            };
            return Some((1, turned));
        }
        _ => None,
    };
    Some((0, other?))
}

/// How many bytes of a prefix `struct ipt_log_info` holds: what is longer is cut.
const LOG_PREFIX: usize = 29;

/// The same of `struct xt_nflog_info`.
const NFLOG_PREFIX: usize = 63;

/// A text that is another one in its first `room` bytes too.
fn other_text(text: &str, room: usize) -> String {
    if text.len() < room {
        return format!("{text}x");
    }
    let mut kept: String = text.chars().take(room).collect();
    let last = if kept.pop() == Some('x') { 'y' } else { 'x' };
    kept.push(last);
    kept
}

/// Another network of the same size, or another host.
fn other_address(text: &str) -> Option<String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if length == Some("0") {
        return None;
    }
    let other: IpAddr = match address.parse().ok()? {
        IpAddr::V4(address) => (u32::from(address) ^ 1 << 31).to_be_bytes().into(),
        IpAddr::V6(address) => (u128::from(address) ^ 1 << 124).to_be_bytes().into(),
    };
    Some(match length {
        Some(length) => format!("{other}/{length}"),
        None => other.to_string(),
    })
}

/// The address of `ADDRESS` or of `ADDRESS:PORT` changed.
fn other_nat(text: &str) -> Option<String> {
    let end = text.find([':', '-']).unwrap_or(text.len());
    let address = text.get(..end).filter(|_| !text.starts_with('['))?;
    Some(format!("{}{}", other_address(address)?, &text[end..]))
}

/// `IFNAMSIZ` is 16, and `+` at the end stands for any ending.
fn other_interface(text: &str) -> String {
    let (stem, wild) = match text.strip_suffix('+') {
        Some(stem) => (stem, "+"),
        None => (text, ""),
    };
    let last = if stem.ends_with('x') { "y" } else { "x" };
    let kept: String = stem.chars().take(14 - wild.len()).collect();
    format!("{kept}{last}{wild}")
}

fn other_verdict(text: &str) -> Option<String> {
    other_word(text, &["DROP", "ACCEPT"]).or_else(|| other_word(text, &["RETURN", "ACCEPT"]))
}

/// The other of two words.
fn other_word(text: &str, words: &[&str; 2]) -> Option<String> {
    let at = words.iter().position(|word| *word == text)?;
    Some(words[1 - at].to_owned())
}

/// One state less, or another one.
fn other_state(text: &str) -> String {
    match text.split_once(',') {
        Some((_, rest)) => rest.to_owned(),
        None if text == "NEW" => "ESTABLISHED".to_owned(),
        None => "NEW".to_owned(),
    }
}

/// `VALUE` or `VALUE/MASK` with another value; in the mask, so that it is another condition.
fn other_mark(text: &str) -> Option<String> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    const BIT: u32 = 1 << 20;
    Some(match text.split_once('/') {
        Some((value, mask)) => format!("{:#x}/{:#x}", number(value)? ^ BIT, number(mask)? | BIT),
        None => format!("{:#x}", number(text)? ^ BIT),
    })
}

/// The first number of `NUMBER`, `NUMBER:NUMBER` or `NUMBER,NUMBER` is another; still the least of a range.
fn other_number(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = text.split_at(end.unwrap_or(text.len()));
    let number: u32 = digits.parse().ok()?;
    let other = match number.checked_sub(1) {
        Some(less) if number > 1 => less,
        _ => number + 1,
    };
    Some(format!("{other}{rest}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tool::iptables::compare;
    use crate::tool::iptables::tokens::split;

    fn words(text: &str) -> Vec<String> {
        let tokens = split(text).unwrap();
        tokens
            .into_iter()
            .map(|token| token.text.into_owned())
            .collect()
    }

    #[rstest]
    #[case("-m mark --mark 0x8000/0x8000 -j DROP", &["-m mark --mark 0x108000/0x108000 -j DROP", "-m mark --mark 0x8000/0x8000 -j ACCEPT"])]
    #[case("-s 10.0.0.0/8 ! -i docker0 -j KUBE-SERVICES", &["-s 138.0.0.0/8 ! -i docker0 -j KUBE-SERVICES", "-s 10.0.0.0/8 ! -i docker0x -j KUBE-SERVICES"])]
    #[case("-d ::1/128 -j RETURN", &["-d 1000::1/128 -j RETURN", "-d ::1/128 -j ACCEPT"])]
    #[case("-i cali+ -p tcp -m tcp --dport 80:90", &["-i calix+ -p tcp -m tcp --dport 80:90", "-i cali+ -p tcp -m tcp --dport 79:90"])]
    #[case("-m set --match-set all src,dst -m conntrack --ctstate NEW", &["-m set --match-set all dst,dst -m conntrack --ctstate NEW", "-m set --match-set all src,dst -m conntrack --ctstate ESTABLISHED"])]
    #[case("-j DNAT --to-destination 10.0.0.1:80", &["-j DNAT --to-destination 138.0.0.1:80"])]
    #[case("-s 0.0.0.0/0 -j CHAIN", &[])]
    fn one_value_is_another(#[case] rule: &str, #[case] expected: &[&str]) {
        let found = near_misses(&words(rule));
        let texts: Vec<String> = found.iter().map(|near| near.tokens.join(" ")).collect();
        assert_eq!(texts, expected);
        for near in found {
            let difference = compare(&words(rule), &near.tokens);
            assert!(!difference.is_empty());
        }
    }
}
