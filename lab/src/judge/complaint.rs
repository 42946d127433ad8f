//! What a build says when it fails, without what each release says in its own words; and what is missing where it could not
//! write a rule, as far as its words or the rule's show.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::reason::{Complaint, Lacking, Needed, Reason};
use crate::tool::Rule;

/// What was said, without what each release says in its own words: its banner, where in its input it stopped, and how
/// to ask it for help. So releases that say the same share a line.
pub fn core_message(reason: &str) -> &str {
    let banner = |said: &str| said.starts_with("iptables") || said.starts_with("ip6tables");
    let said = match reason.split_once(": ") {
        Some((head, said)) if banner(head) && head.contains(" v") => said,
        _ => reason,
    };
    let ends = [
        " Error occurred at line: ",
        " Try `",
        "Error occurred at line: ",
        "Try `",
    ];
    let end = ends.iter().filter_map(|end| said.find(end)).min();
    match said[..end.unwrap_or(said.len())].trim() {
        "" => reason,
        core => core,
    }
}

/// What was said, in one line, with each of its lines once: nft says of every rule of a table that it may not be changed.
pub(super) fn each_line_once(said: &str) -> String {
    let mut known = BTreeSet::new();
    let lines: Vec<&str> = said.lines().filter(|line| known.insert(*line)).collect();
    lines.join(" ")
}

impl Complaint {
    /// Without what each release says in its own words.
    pub(super) fn core(&self) -> Self {
        match self {
            Complaint::Said(said) => Complaint::Said(core_message(said).into()),
            Complaint::Ended(end) => Complaint::Ended(*end),
        }
    }
}

/// Why a rule could not be written: what is missing, and what its writer said.
pub(super) fn why_unwritten(complaint: Complaint, rule: &Rule) -> Reason {
    let Complaint::Said(said) = &complaint else {
        return Reason::Complaint(complaint);
    };
    match lacking(said, rule) {
        Some(what) => Reason::Lacking {
            what,
            complaint: Complaint::Said(without_line(core_message(said)).into()),
        },
        None => Reason::Complaint(complaint),
    }
}

/// What the writer or the kernel lacks for a rule; none where neither says so.
fn lacking(said: &str, rule: &Rule) -> Option<Lacking> {
    // The first words that name something end with the character behind.
    type Named = (&'static str, char, fn(Arc<str>) -> Lacking);
    const NAMED: [Named; 4] = [
        ("Couldn't load match `", '\'', Lacking::Match),
        ("Couldn't load target `", '\'', Lacking::Target),
        ("Extension ", ' ', Lacking::Extension),
        ("Set ", ' ', Lacking::Set),
    ];
    for (before, behind, lacks) in NAMED {
        let named = said.split_once(before).map(|(_, named)| named);
        let name = named.and_then(|named| Some(named.split_once(behind)?.0));
        let is_it = match before {
            "Set " => said.contains(" doesn't exist"),
            "Extension " => said.contains("missing kernel module"),
            _ => true,
        };
        if let Some(name) = name.filter(|_| is_it) {
            return Some(lacks(name.into()));
        }
    }
    let is_lacking = [
        "(No such file or directory)",
        "(Operation not supported)",
        "No chain/target/match by that name",
    ];
    // Legacy restores say no more than which line of their input failed.
    let is_refused = [
        "RULE_APPEND failed (",
        "RULE_INSERT failed (",
        "restore: line ",
    ];
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    let or_refuses = match (says(&is_lacking), says(&is_refused)) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => return None,
    };
    let parts = needed(rule);
    (!parts.is_empty()).then(|| Lacking::OneOf {
        or_refuses,
        parts: parts.into(),
    })
}

/// The matches and the target of a rule that a kernel may lack, and the objects that it names.
fn needed(rule: &Rule) -> Vec<Needed> {
    // iptables-nft has no use for the kernel's own of these, and no kernel with legacy tables is without them.
    const EVERYWHERE: [&str; 8] = [
        "comment", "tcp", "udp", "icmp", "ACCEPT", "DROP", "RETURN", "QUEUE",
    ];
    let words: Vec<&str> = rule.tokens().iter().collect();
    let mut named: Vec<Needed> = Vec::new();
    for pair in words.windows(2) {
        let what = match pair[0] {
            "-m" | "--match" => Needed::Match(pair[1].to_owned()),
            "-j" | "--jump" => Needed::Target(pair[1].to_owned()),
            "--nfacct-name" => Needed::NfacctObject(pair[1].to_owned()),
            _ => continue,
        };
        if !EVERYWHERE.contains(&pair[1]) && !named.contains(&what) {
            named.push(what);
        }
    }
    named
}

/// Without the line of the input: it is the lab's own, which gave each rule by itself.
fn without_line(said: &str) -> &str {
    let numbered = said.strip_prefix("line ").and_then(|rest| {
        let (number, said) = rest.split_once(": ")?;
        number.bytes().all(|b| b.is_ascii_digit()).then_some(said)
    });
    numbered.unwrap_or(said)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_complaint_that_is_repeated_is_shown_once() {
        let said =
            "in:2:1-2: Error: no\ntable inet own {\n^^\nin:2:1-2: Error: no\ntable inet own {\n^^";
        assert_eq!(
            each_line_once(said),
            "in:2:1-2: Error: no table inet own { ^^"
        );
        assert_eq!(each_line_once(""), "");
    }
    use crate::tool::iptables;

    #[rstest]
    #[case(
        "ip6tables v1.8.4 (nf_tables): Chain 'MASQUERADE' does not exist Try `ip6tables -h' or 'ip6tables --help' for more information.",
        "Chain 'MASQUERADE' does not exist"
    )]
    #[case(
        "ip6tables v1.8.5 (nf_tables): Chain 'MASQUERADE' does not exist Try `ip6tables-nft -h' or 'ip6tables-nft --help' for more information.",
        "Chain 'MASQUERADE' does not exist"
    )]
    #[case(
        "iptables-restore v1.8.9 (nf_tables): unknown option \"--x\" Error occurred at line: 5 Try `iptables-restore -h' or 'iptables-restore --help' for more information.",
        "unknown option \"--x\""
    )]
    #[case(
        "iptables-nft-restore v1.8.4 (legacy): iptables-nft-restore: bad: worse",
        "iptables-nft-restore: bad: worse"
    )]
    #[case(
        "Bad argument `ACCEPT' Error occurred at line: 3 Try `iptables-nft-restore -h' or 'iptables-nft-restore --help' for more information.",
        "Bad argument `ACCEPT'"
    )]
    #[case(
        "# Table `filter' is incompatible, use 'nft' tool.",
        "# Table `filter' is incompatible, use 'nft' tool."
    )]
    #[case::after_the_banner_the_line_ends(
        "iptables-restore v1.8.9 (nf_tables):  line 2: RULE_APPEND failed (No such file or directory): rule in chain INPUT",
        "line 2: RULE_APPEND failed (No such file or directory): rule in chain INPUT"
    )]
    #[case("iptables-restore: line 3 failed", "iptables-restore: line 3 failed")]
    #[case("Error occurred at line: 3", "Error occurred at line: 3")]
    #[case("signal 11", "signal 11")]
    fn a_release_is_left_out_of_what_it_says(#[case] reason: &str, #[case] core: &str) {
        assert_eq!(core_message(reason), core);
    }

    /// As the releases say it, of a rule alone.
    #[rstest]
    #[case::the_match_alone(
        "-m nfacct --nfacct-name web -j ACCEPT",
        "iptables-nft-restore v1.8.9 (nf_tables):  line 3: RULE_APPEND failed (No such file or directory): rule in chain INPUT",
        "the kernel lacks one of match nfacct, the nfacct object web: RULE_APPEND failed (No such file or directory): rule in chain INPUT"
    )]
    #[case::one(
        "-p tcp -m tcp --dport 80 -m comment --comment \"-m osf\" -j TPROXY --on-port 1",
        "iptables-nft-restore v1.8.8 (nf_tables):  line 3: RULE_APPEND failed (No such file or directory): rule in chain INPUT",
        "the kernel lacks target TPROXY: RULE_APPEND failed (No such file or directory): rule in chain INPUT"
    )]
    #[case::refused(
        "-m ipcomp --ipcompspi 1 -j DROP",
        "iptables-nft-restore v1.8.9 (nf_tables):  line 3: RULE_APPEND failed (Invalid argument): rule in chain INPUT",
        "the kernel lacks or refuses match ipcomp: RULE_APPEND failed (Invalid argument): rule in chain INPUT"
    )]
    #[case::without_a_word(
        "-m ipcomp --ipcompspi 1 -j DROP",
        "iptables-restore: line 4 failed",
        "the kernel lacks or refuses match ipcomp: iptables-restore: line 4 failed"
    )]
    #[case::several(
        "-m time --timestart 10:00 -m u32 --u32 \"0=0\" -j DROP",
        "iptables: No chain/target/match by that name.",
        "the kernel lacks one of match time, match u32: iptables: No chain/target/match by that name."
    )]
    #[case::named_by_the_build(
        "-m osf --genre Linux -j DROP",
        "Warning: Extension osf revision 0 not supported, missing kernel module? iptables-restore v1.8.9 (nf_tables):  line 3: RULE_APPEND failed (No such file or directory): rule in chain INPUT",
        "the kernel has no extension osf: Warning: Extension osf revision 0 not supported, missing kernel module? iptables-restore v1.8.9 (nf_tables):  line 3: RULE_APPEND failed (No such file or directory): rule in chain INPUT"
    )]
    #[case::of_the_build(
        "-m u32 --u32 \"0=0\" -j DROP",
        "iptables-nft-restore v1.8.9 (nf_tables): Couldn't load match `u32':No such file or directory Error occurred at line: 5 Try `iptables-nft-restore -h' or 'iptables-nft-restore --help' for more information.",
        "the build has no match u32: Couldn't load match `u32':No such file or directory"
    )]
    #[case::a_set(
        "-m set --match-set web src -j DROP",
        "iptables-nft-restore v1.8.9 (nf_tables): Set web doesn't exist. Error occurred at line: 3",
        "there is no set web: Set web doesn't exist."
    )]
    #[case::nothing_is_missing(
        "-p ipv5 -j DROP",
        "iptables-nft-restore v1.8.9 (nf_tables): unknown protocol \"ipv5\" specified",
        "iptables-nft-restore v1.8.9 (nf_tables): unknown protocol \"ipv5\" specified"
    )]
    fn what_is_missing_is_named_and_what_was_said_is_whole(
        #[case] rule: &str,
        #[case] said: &str,
        #[case] why: &str,
    ) {
        let text = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule}\nCOMMIT\n");
        let ruleset = iptables::parse(&text).expect("it is a ruleset");
        let said = Complaint::Said(said.into());
        let reason = why_unwritten(said, &ruleset.tables[0].rules[0]);
        assert_eq!(reason.to_string(), why);
    }
}
