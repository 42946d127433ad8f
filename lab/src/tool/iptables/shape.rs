//! What a rule looks like, whoever wrote it for whatever address: its options without the values that differ from node to
//! node, in an order of their own.

use super::unit_ranges;
use crate::tool::Shape;

/// What of a rule's addresses is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// That there are some.
    Any,
    /// Whether each is a host's or a network's.
    HostOrNetwork,
}

impl Shape {
    /// Of what follows `-A CHAIN`.
    pub fn of<S: AsRef<str>>(chain: &str, tokens: &[S], addresses: Addresses) -> Shape {
        let mut units: Vec<String> = unit_ranges(tokens)
            .into_iter()
            .map(|words| {
                let words: Vec<&str> = words.iter().map(|word| tokens[*word].as_ref()).collect();
                unit(&words, addresses)
            })
            .collect();
        units.sort();
        Shape {
            chain: name(chain),
            units,
        }
    }
}

/// A rule's options with their values, in an order of their own: what two ways of writing the same rule have in common.
pub fn values_in_any_order<S: AsRef<str>>(tokens: &[S]) -> Vec<String> {
    let units = unit_ranges(tokens).into_iter().map(|words| {
        let words = words.iter().map(|word| match tokens[*word].as_ref() {
            number if number.starts_with("0x") => hex(number),
            option if option.starts_with('-') => alias(option).to_owned(),
            word => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let mut units: Vec<String> = units.collect();
    units.sort();
    units
}

fn unit(words: &[&str], addresses: Addresses) -> String {
    let mut shape: Vec<String> = Vec::new();
    let mut option = "";
    for word in words {
        if word.starts_with('-') {
            option = alias(word);
            shape.push(option.to_owned());
        } else {
            shape.push(value(option, word, addresses));
        }
    }
    shape.join(" ")
}

/// One word for options that have several.
fn alias(option: &str) -> &str {
    match option {
        "--src" | "--source" => "-s",
        "--dst" | "--destination" => "-d",
        "--protocol" | "--proto" => "-p",
        "--in-interface" => "-i",
        "--out-interface" => "-o",
        "--jump" => "-j",
        "--goto" => "-g",
        "--match" => "-m",
        "--destination-port" => "--dport",
        "--source-port" => "--sport",
        option => option,
    }
}

fn value(option: &str, word: &str, addresses: Addresses) -> String {
    let has_digit = word.chars().any(|c| c.is_ascii_digit());
    match option {
        // What marks mean is agreed on, and the same everywhere.
        _ if word.starts_with("0x") => hex(word),
        "-j" | "-g" => name(word),
        "--comment" => comment(word),
        "-s" | "-d" if addresses == Addresses::HostOrNetwork && is_network(word) => {
            "*/*".to_owned()
        }
        _ if has_digit => "*".to_owned(),
        _ => word.to_owned(),
    }
}

fn is_network(word: &str) -> bool {
    let length = word.split_once('/').map(|(_, length)| length);
    length.is_some_and(|length| length != "32" && length != "128")
}

/// A comment without what differs from node to node.
pub fn comment(comment: &str) -> String {
    let words: Vec<&str> = comment.split_whitespace().map(comment_word).collect();
    words.join(" ")
}

/// A word of a comment, unless it names a service, a pod or an address.
fn comment_word(word: &str) -> &str {
    match word.contains(['/', ':']) || word.chars().any(|c| c.is_ascii_digit()) {
        true => "*",
        false => word,
    }
}

/// A chain's name without the hash that Kubernetes' components end it with: sixteen characters of base32.
pub fn name(chain: &str) -> String {
    let is_hash = |end: &str| {
        end.len() == 16
            && end
                .bytes()
                .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
    };
    match chain.rsplit_once('-') {
        Some((stem, end)) if is_hash(end) => format!("{stem}-*"),
        _ => chain.to_owned(),
    }
}

/// `0x00008000/0x00008000` as `0x8000/0x8000`.
fn hex(word: &str) -> String {
    let short = |number: &str| {
        let digits = number.trim_start_matches("0x").trim_start_matches('0');
        format!("0x{}", if digits.is_empty() { "0" } else { digits })
    };
    word.split('/').map(short).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tool::iptables::tokens::split;

    fn shape(chain: &str, rule: &str) -> Shape {
        let tokens: Vec<String> = split(rule)
            .unwrap()
            .into_iter()
            .map(|token| token.text.into_owned())
            .collect();
        Shape::of(chain, &tokens, Addresses::HostOrNetwork)
    }

    #[rstest]
    #[case::address("-d 10.0.0.1/32 -j DROP", "-d 192.0.2.7/32 -j DROP")]
    #[case::network("-d 10.0.0.0/16 -j DROP", "-d 192.0.2.0/24 -j DROP")]
    #[case::order(
        "-m mark --mark 0x1 -s 10.0.0.1 -j DROP",
        "-s 10.0.0.2 -m mark --mark 0x1 -j DROP"
    )]
    #[case::alias("--dst 127.0.0.0/8 -j DROP", "-d 127.0.0.0/8 -j DROP")]
    #[case::hex(
        "-m mark --mark 0x00008000/0x00008000 -j DROP",
        "-m mark --mark 0x8000/0x8000 -j DROP"
    )]
    #[case::comment(
        "-m comment --comment \"ns1/svc1:p80 cluster IP\" -j KUBE-SVC-XPGD46QRK7WJZT7O",
        "-m comment --comment \"kube-system/kube-dns:dns cluster IP\" -j KUBE-SVC-TCOU7JCQXEZGVUNU"
    )]
    fn the_same_rule_on_another_node_has_the_same_shape(#[case] one: &str, #[case] other: &str) {
        assert_eq!(shape("KUBE-SERVICES", one), shape("KUBE-SERVICES", other));
    }

    #[rstest]
    #[case("-m mark --mark 0x8000/0x8000 -j DROP", "-j DROP")]
    #[case(
        "-m mark --mark 0x8000/0x8000 -j DROP",
        "-m mark --mark 0x4000/0x4000 -j DROP"
    )]
    #[case("! -s 10.0.0.1 -j DROP", "-s 10.0.0.1 -j DROP")]
    #[case("-p tcp -j DROP", "-p udp -j DROP")]
    #[case(
        "-d 224.0.0.251/32 -p udp -j ACCEPT",
        "-d 224.0.0.0/4 -p udp -j ACCEPT"
    )]
    fn another_rule_has_another_shape(#[case] one: &str, #[case] other: &str) {
        assert_ne!(shape("INPUT", one), shape("INPUT", other));
    }
}
