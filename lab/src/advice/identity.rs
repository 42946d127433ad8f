//! Whose a rule is: what in a line names a known system, so that nobody else would have written it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::catalog::Family;
use crate::scenario::Scenario;
use crate::tool::Rule;
use crate::tool::iptables::shape;

/// What names the systems of some scenarios: their chains, comments and sets.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// Chains that only the systems write into, without the hashes of their names, by table.
    chains: BTreeSet<(String, String)>,
    /// The same names where some system says that others write into them too.
    open: BTreeSet<(String, String)>,
    comments: BTreeSet<String>,
    sets: BTreeSet<String>,
}

impl Identities {
    /// Of these scenarios' systems.
    pub fn of(scenarios: &[Scenario]) -> Self {
        let mut known = Identities::default();
        for scenario in scenarios {
            let open = scenario.system.open_chains();
            for family in scenario.families() {
                for table in &scenario.own_ruleset(family).tables {
                    let own = table.chains.iter().filter(|chain| chain.policy.is_none());
                    for chain in own {
                        let key = (table.name.clone(), shape::name(&chain.name));
                        match open.contains(&chain.name) {
                            true => known.open.insert(key),
                            false => known.chains.insert(key),
                        };
                    }
                }
                for (_, _, rule) in scenario.own_rules(family) {
                    known
                        .comments
                        .extend(values(rule, "--comment").filter_map(telling));
                    known
                        .sets
                        .extend(values(rule, "--match-set").map(str::to_owned));
                }
            }
        }
        known
    }

    /// Whether something in a rule of `table`, or its chain, names a system.
    pub fn names(&self, table: &str, rule: &Rule) -> bool {
        let jumps = ["-j", "-g"]
            .into_iter()
            .flat_map(|option| values(rule, option));
        let mut chains = std::iter::once(rule.chain.as_str()).chain(jumps);
        chains.any(|chain| self.is_of_system(table, chain))
            || values(rule, "--comment")
                .filter_map(telling)
                .any(|of| self.comments.contains(&of))
            || values(rule, "--match-set").any(|set| self.sets.contains(set))
    }

    fn is_of_system(&self, table: &str, chain: &str) -> bool {
        let key = (table.to_owned(), shape::name(chain));
        self.chains.contains(&key) && !self.open.contains(&key)
    }
}

/// A comment as it is compared, where it says who wrote it: of several words, or with signs that people do not use in a word.
fn telling(comment: &str) -> Option<String> {
    let is_plain = comment
        .chars()
        .all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    let shape = shape::comment(comment);
    let telling = match shape.chars().any(char::is_alphabetic) {
        true => shape,
        // Nothing but names and numbers: a hash, perhaps, which is the same wherever its rule is.
        false => comment.to_owned(),
    };
    (!is_plain).then_some(telling)
}

/// The words that follow an option.
fn values<'r>(rule: &'r Rule, option: &'static str) -> impl Iterator<Item = &'r str> {
    let words = rule.tokens().iter();
    let next = rule.tokens().iter().skip(1);
    words
        .zip(next)
        .filter(move |(word, _)| *word == option)
        .map(|(_, value)| value)
}

/// Whether a rule has an address that no one writes: that of a network, as if it were a host (`10.244.0.0/32`); an
/// interface's name or a protocol's number read as an address (`101.116.104.48` is `eth0`); or one address as source and
/// destination, which is how Docker writes of a container that talks to itself.
pub(super) fn has_strange_address(rule: &Rule) -> bool {
    let address = |option| values(rule, option).next();
    let (source, destination) = (address("-s"), address("-d"));
    let is_hairpin = source.is_some() && source == destination;
    let strange = |of: Option<&str>| of.is_some_and(is_strange);
    is_hairpin
        || strange(source)
        || strange(destination)
        || values(rule, "-p").any(|of| of == "skip")
}

fn is_strange(printed: &str) -> bool {
    let (address, length) = printed.split_once('/').unwrap_or((printed, ""));
    match address.parse() {
        Ok(IpAddr::V4(address)) => {
            is_spelled(&address.octets()) || (length == "32" && is_network_v4(address))
        }
        Ok(IpAddr::V6(address)) => {
            is_spelled(&address.octets())
                || is_one_byte(address)
                || (length == "128" && is_network_v6(address))
        }
        Err(_) => false,
    }
}

/// Bytes of a name, and zeros after it.
fn is_spelled(bytes: &[u8]) -> bool {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let is_of_name =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(byte);
    let name = &bytes[..end];
    name.len() >= 2 && name[0].is_ascii_lowercase() && name.iter().all(is_of_name)
}

/// `600::`: what stands where a protocol's number (6) is followed by nothing.
fn is_one_byte(address: Ipv6Addr) -> bool {
    let [first, rest @ ..] = address.octets();
    (2..0x40).contains(&first) && rest.iter().all(|byte| *byte == 0)
}

fn is_network_v4(address: Ipv4Addr) -> bool {
    address.octets()[3] == 0 && !address.is_unspecified()
}

fn is_network_v6(address: Ipv6Addr) -> bool {
    let [.., a, b, c, d] = address.segments();
    [a, b, c, d] == [0; 4] && !address.is_unspecified()
}

/// The family that a rule can only be of; none where it can be of either.
pub(super) fn family_of(rule: &Rule) -> Option<Family> {
    let has_v4 = |word: &str| {
        word.split(['/', ':', '-'])
            .next()
            .is_some_and(|of| of.parse::<Ipv4Addr>().is_ok())
    };
    let has_v6 = |word: &str| {
        word.split('/')
            .next()
            .is_some_and(|of| of.parse::<Ipv6Addr>().is_ok())
    };
    let options = [
        "-s",
        "-d",
        "--to-source",
        "--to-destination",
        "--ctorigdst",
        "--ctorigsrc",
    ];
    let addresses: BTreeSet<Family> = options
        .into_iter()
        .flat_map(|option| values(rule, option))
        .filter_map(|word| match (has_v4(word), has_v6(word)) {
            (true, _) => Some(Family::Ipv4),
            (_, true) => Some(Family::Ipv6),
            _ if word.starts_with('[') => Some(Family::Ipv6),
            _ => None,
        })
        .collect();
    let words: BTreeMap<&str, Family> = BTreeMap::from([
        ("ipv6-icmp", Family::Ipv6),
        ("icmpv6", Family::Ipv6),
        ("icmp6", Family::Ipv6),
        ("icmp", Family::Ipv4),
    ]);
    let protocol = ["-p", "-m"]
        .into_iter()
        .flat_map(|option| values(rule, option));
    let said: BTreeSet<Family> = protocol
        .filter_map(|word| words.get(word).copied())
        .collect();
    let rejected = values(rule, "--reject-with").find_map(|how| match how {
        _ if how.starts_with("icmp6") => Some(Family::Ipv6),
        _ if how.starts_with("icmp") => Some(Family::Ipv4),
        _ => None,
    });
    let mut all = addresses.into_iter().chain(said).chain(rejected);
    let first = all.next()?;
    all.all(|of| of == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::tool::iptables::tokens::split;

    fn rule(line: &str) -> Rule {
        let words = split(line)
            .expect("a line")
            .into_iter()
            .map(|token| token.text.into_owned());
        let words: Vec<String> = words.collect();
        Rule::new(words[1].clone(), &words[2..])
    }

    #[rstest]
    #[case::chain("filter", "-A KUBE-FIREWALL -j DROP", true)]
    #[case::hashed("nat", "-A KUBE-SVC-AAAABBBBCCCCDDDD -j ACCEPT", true)]
    #[case::jump("filter", "-A INPUT -p udp -j KUBE-FIREWALL", true)]
    #[case::comment(
        "filter",
        "-A FORWARD -m comment --comment \"flanneld forward\" -j ACCEPT",
        true
    )]
    #[case::hash(
        "filter",
        "-A INPUT -i cali+ -m comment --comment \"cali:ND7FTF4FN-15Xc7e\" -j DROP",
        true
    )]
    #[case::set("filter", "-A INPUT -m set --match-set f2b-sshd src -j REJECT", true)]
    #[case::everybodys("filter", "-A INPUT -p tcp -j ACCEPT", false)]
    #[case::own_comment("filter", "-A INPUT -p udp -m comment --comment DNS -j ACCEPT", false)]
    #[case::administrators("filter", "-A DOCKER-USER -p tcp -j DROP", false)]
    #[case::ufw_users("filter", "-A ufw-user-input -p tcp -j ACCEPT", false)]
    #[case::a_name_that_others_use("filter", "-A reject -j DROP", false)]
    #[case::another_table("mangle", "-A KUBE-FIREWALL -j DROP", false)]
    fn a_line_names_a_system_by_its_chain_comment_or_set(
        #[case] table: &str,
        #[case] line: &str,
        #[case] names: bool,
    ) {
        let scenarios = crate::scenario::shipped().expect("they are sound");
        assert_eq!(Identities::of(&scenarios).names(table, &rule(line)), names);
    }

    #[rstest]
    #[case::network("-A FORWARD -s 10.244.0.0/32 -j ACCEPT", true)]
    #[case::eth0("-A PREROUTING ! -d 101.116.104.48/32 -i eth0 -j DROP", true)]
    #[case::eth0_v6("-A FORWARD -s 6574:6830::/64 -i eth0 -j DROP", true)]
    #[case::tcp("-A INPUT -d 600::/128 -p tcp -j DROP", true)]
    #[case::network_v6("-A FORWARD -s 2001:db8:a1::/128 -j ACCEPT", true)]
    #[case::hairpin(
        "-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -j MASQUERADE",
        true
    )]
    #[case::skip("-A OUTPUT ! -p skip -j RETURN", true)]
    #[case::host("-A INPUT -s 203.0.113.9/32 -j DROP", false)]
    #[case::prefix("-A INPUT -s 10.0.0.0/8 -p tcp -j ACCEPT", false)]
    #[case::loopback("-A INPUT -s ::1/128 -j ACCEPT", false)]
    #[case::link_local("-A INPUT -s fe80::/10 -j ACCEPT", false)]
    #[case::multicast("-A INPUT -d ff02::1/128 -j ACCEPT", false)]
    #[case::nothing("-A INPUT -j DROP", false)]
    fn some_addresses_nobody_writes(#[case] line: &str, #[case] is_strange: bool) {
        assert_eq!(has_strange_address(&rule(line)), is_strange);
    }

    #[rstest]
    #[case("-A INPUT -s ::1/128 -j ACCEPT", Some(Family::Ipv6))]
    #[case("-A INPUT ! -d 10.0.0.0/8 -j ACCEPT", Some(Family::Ipv4))]
    #[case("-A INPUT -p icmp -j ACCEPT", Some(Family::Ipv4))]
    #[case(
        "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT",
        Some(Family::Ipv6)
    )]
    #[case(
        "-A INPUT -j REJECT --reject-with icmp6-port-unreachable",
        Some(Family::Ipv6)
    )]
    #[case(
        "-A PREROUTING -p tcp -j DNAT --to-destination [fd00::2]:80",
        Some(Family::Ipv6)
    )]
    #[case("-A INPUT -j DROP", None)]
    fn some_rules_are_of_one_family_only(#[case] line: &str, #[case] family: Option<Family>) {
        assert_eq!(family_of(&rule(line)), family);
    }
}
