//! What people see on a node, in the words that they search for, and what is behind it.

use crate::matrix::Symptom;

/// The words that people search for.
pub fn symptom(of: Symptom) -> &'static str {
    match of {
        Symptom::PingLocalhost => "cannot ping localhost",
        Symptom::Timeout => "connection timed out, i/o timeout, packets are dropped",
        Symptom::OpenPort => "a port is open that the rules close",
        Symptom::WrongPeer => "a service answers from the wrong pod, wrong source address",
        Symptom::RulesMultiply => "rules multiply, the same rule again and again in iptables-save",
        Symptom::BadRule => "Bad rule (does a matching rule exist in that chain?)",
        Symptom::IncompatibleTable => "Table is incompatible, use 'nft' tool",
        Symptom::LegacyTablesPresent => {
            "# Warning: iptables-legacy tables present, use iptables-legacy to see them"
        }
        Symptom::RulesTwice => "rules are there twice, under iptables-legacy and iptables-nft",
        Symptom::SaveShowsNothing => "iptables-save shows nothing, iptables -L is empty",
        Symptom::SegmentationFault => "iptables-save: Segmentation fault",
        Symptom::NftSegmentationFault => "nft list ruleset: Segmentation fault (core dumped)",
        Symptom::Hangs => "iptables hangs, another app is currently holding the xtables lock",
        Symptom::RestoreFails => "iptables-restore: line 5 failed",
        Symptom::XtablesExpression => {
            "nft -f: Error: unsupported xtables compat expression, use iptables-nft with this ruleset; xt match not found"
        }
        Symptom::NftSyntaxError => "nft -f /etc/nftables.conf: Error: syntax error, unexpected",
        Symptom::DeletesWrongRule => "iptables -D deletes the wrong rule",
        Symptom::ChecksWrongRule => "iptables -C finds a rule that does not exist",
        Symptom::MatchesLost => {
            "rules lose a match (mark, port, comment) after iptables-save and iptables-restore"
        }
    }
}

/// What is behind a symptom.
pub fn symptom_cause(of: Symptom) -> &'static str {
    match of {
        Symptom::PingLocalhost => {
            "a DROP rule came back without its match and drops the node's own packets"
        }
        Symptom::Timeout => {
            "a rule came back with fewer matches, or an ACCEPT is gone: packets that were let through are dropped"
        }
        Symptom::OpenPort => {
            "a DROP is gone or an ACCEPT matches more: packets that were kept out are let through"
        }
        Symptom::WrongPeer => {
            "a DNAT, SNAT or MASQUERADE rule is another one now: packets arrive elsewhere"
        }
        Symptom::RulesMultiply => {
            "-C does not find the rule that is there, so whoever looks first adds it once more"
        }
        Symptom::BadRule => {
            "-C or -D does not find the rule that is there: writer and reader encode it differently"
        }
        Symptom::IncompatibleTable => {
            "one rule that the reader cannot decode makes it give up the whole table"
        }
        Symptom::LegacyTablesPresent => {
            "both backends hold rules; each tool shows only its own, and packets meet both"
        }
        Symptom::RulesTwice => {
            "a component of the other backend does not see the rules and writes them again"
        }
        Symptom::SaveShowsNothing => "the rules are under the other backend",
        Symptom::SegmentationFault => "the reader dies of a rule that it cannot decode",
        Symptom::NftSegmentationFault => {
            "an nft of another release made a set or a map that this one dies of; who lists and loads in one go then loads nothing"
        }
        Symptom::Hangs => "the build was still running when its time was up",
        Symptom::RestoreFails => "the reader refuses what it has itself just saved",
        Symptom::XtablesExpression => {
            "iptables wrote a match or a target that nft can list and not load: `nft list ruleset` is no backup of such rules"
        }
        Symptom::NftSyntaxError => {
            "nft cannot load its own listing: a chain has a name that is a word of nft's, or an extension is printed as a comment"
        }
        Symptom::DeletesWrongRule => "-D takes another rule for the one that it is given",
        Symptom::ChecksWrongRule => {
            "-C overlooks a difference, so the rule that is wanted is never added"
        }
        Symptom::MatchesLost => {
            "the reader prints the rule without a part, and restores what it printed"
        }
    }
}
