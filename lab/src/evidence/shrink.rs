//! A ruleset on its way to the least that still shows a loss: first fewer rules, then fewer chains, then rules with fewer
//! options.

use super::ddmin::Ddmin;
use super::loss::Subject;
use crate::tool::{Cut, Piece, Rules};

/// The steps of a shrink: each stage begins with what the one before it left.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Whole rules are left out.
    Rules(Ddmin<usize>),
    /// Chains are left out, and nft's tables, sets and elements.
    Declared(Ddmin<usize>),
    /// Whole matches, and options of the rules themselves, are left out; of nft's rules, expressions and statements.
    Units(Ddmin<Piece>),
    /// Single options of a match or target are left out; of nft's rules, words.
    Options(Ddmin<Piece>),
    /// Nothing can be left out any more.
    Done,
}

/// A ruleset that shows a loss, and smaller ones that may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrink {
    /// What the stage in hand began with.
    rules: Rules,
    /// What the loss is seen at.
    subject: Subject,
    stage: Stage,
}

/// How much is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Smaller {
    /// Rules.
    pub rules: usize,
    /// Words of all rules.
    pub words: usize,
}

impl Shrink {
    /// `rules` show a loss at `subject`: that alone is tried first.
    pub fn new(rules: Rules, subject: Subject) -> Self {
        let all = (0..rules.count()).collect();
        let guess = match &subject {
            Subject::Rule { given } => rules.place_of(given).map(|place| vec![place]),
            Subject::Chain { .. } => Some(Vec::new()),
        };
        let mut shrink = Shrink {
            rules,
            subject,
            stage: Stage::Rules(Ddmin::new(all, guess)),
        };
        shrink.skip_what_is_through();
        shrink
    }

    /// How much is left.
    pub fn left(&self) -> Smaller {
        let least = self.least();
        Smaller {
            rules: least.count(),
            words: least.words(),
        }
    }

    /// What is to be tried next; nothing once nothing can be left out.
    pub fn candidates(&self) -> Vec<Rules> {
        match &self.stage {
            Stage::Rules(ddmin) => {
                let kept = ddmin.candidates().into_iter();
                kept.map(|kept| self.rules.only(&kept)).collect()
            }
            Stage::Declared(ddmin) => {
                let kept = ddmin.candidates().into_iter();
                kept.map(|kept| self.rules.with_declared(&kept)).collect()
            }
            Stage::Units(ddmin) | Stage::Options(ddmin) => {
                let pieces = ddmin.candidates().into_iter();
                pieces.map(|pieces| self.rules.of_pieces(&pieces)).collect()
            }
            Stage::Done => Vec::new(),
        }
    }

    /// Goes on with the first of the candidates that showed the loss, counted from 0.
    pub fn tell(&mut self, shown: Option<usize>) {
        match &mut self.stage {
            Stage::Rules(ddmin) | Stage::Declared(ddmin) => ddmin.tell(shown),
            Stage::Units(ddmin) | Stage::Options(ddmin) => ddmin.tell(shown),
            Stage::Done => {}
        }
        self.skip_what_is_through();
    }

    /// The least rules that are known to show the loss.
    pub fn least(&self) -> Rules {
        match &self.stage {
            Stage::Rules(ddmin) => self.rules.only(ddmin.items()),
            Stage::Declared(ddmin) => self.rules.with_declared(ddmin.items()),
            Stage::Units(ddmin) | Stage::Options(ddmin) => self.rules.of_pieces(ddmin.items()),
            Stage::Done => self.rules.clone(),
        }
    }

    fn advance(&mut self) {
        let rules = &self.rules;
        self.stage = match &self.stage {
            Stage::Rules(_) => {
                let declared = (0..rules.declared()).collect();
                let chain = match &self.subject {
                    Subject::Chain { table, chain } => Some((table.as_str(), chain.as_str())),
                    Subject::Rule { .. } => None,
                };
                let needed = rules.needed(chain);
                Stage::Declared(Ddmin::new(declared, Some(needed)))
            }
            Stage::Declared(_) => Stage::Units(Ddmin::new(rules.pieces(Cut::Units), None)),
            Stage::Units(_) => Stage::Options(Ddmin::new(rules.pieces(Cut::Options), None)),
            Stage::Options(_) | Stage::Done => Stage::Done,
        };
    }

    /// A stage with nothing to try is through before it begins.
    fn skip_what_is_through(&mut self) {
        while self.stage != Stage::Done && self.candidates().is_empty() {
            self.rules = self.least();
            self.advance();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::{Family, Tool};
    use crate::tool::Given;
    use crate::tool::iptables::parse;

    const KUBE: &str = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:KUBE-FIREWALL - [0:0]\n\
        :OTHER - [0:0]\n-A INPUT -j KUBE-FIREWALL\n-A OUTPUT -j KUBE-FIREWALL\n-A OTHER -s 192.0.2.1/32 -j RETURN\n\
        -A KUBE-FIREWALL -p tcp -m comment --comment \"block all\" -m mark --mark 0x8000/0x8000 -m conntrack --ctstate NEW \
        ! --ctorigdst 192.0.2.1 -j DROP\nCOMMIT\n";

    const NFT: &str = "add table ip filter\nadd chain ip filter INPUT { type filter hook input priority 0; policy drop; }\n\
        add chain ip filter OWN\nadd chain ip filter idle\nadd set ip filter trusted { type ipv4_addr; }\n\
        add table ip nat\nadd element ip filter trusted { 192.0.2.1 }\nadd rule ip filter INPUT iifname \"lo\" accept\n\
        add rule ip filter OWN tcp dport { 22, 80 } ip saddr @trusted counter accept\nadd rule ip filter INPUT jump OWN\n";

    fn iptables(text: &str) -> Rules {
        rules(Tool::Iptables, text)
    }

    fn nft(text: &str) -> Rules {
        rules(Tool::Nft, text)
    }

    fn rules(tool: Tool, text: &str) -> Rules {
        Rules::of(&Given::parse(tool, Family::Ipv4, text).unwrap())
    }

    fn rule(given: &str) -> Subject {
        Subject::Rule {
            given: given.to_owned(),
        }
    }

    /// Shrinks with everything that has a line with all of `needed` still showing the loss, as long as it can be parsed.
    fn shrunk(rules: Rules, subject: Subject, needed: &[&str]) -> (String, usize) {
        let shows = |candidate: &Rules| {
            let text = candidate.to_string();
            let is_whole = match candidate.tool() {
                Tool::Iptables => true,
                Tool::Nft => {
                    let set = ["add set ip filter trusted", "add element ip filter trusted"];
                    let has_set = set.iter().all(|of| text.contains(of));
                    Given::parse(Tool::Nft, Family::Ipv4, &text).is_ok()
                        && (has_set || !text.contains("@trusted"))
                }
            };
            let has = |line: &str| needed.iter().all(|words| line.contains(words));
            is_whole && text.lines().any(has)
        };
        let mut shrink = Shrink::new(rules, subject);
        let mut rounds = 0;
        loop {
            let candidates = shrink.candidates();
            if candidates.is_empty() {
                return (shrink.least().to_string(), rounds);
            }
            shrink.tell(candidates.iter().position(shows));
            assert!(shows(&shrink.least()), "what is left always shows it");
            rounds += 1;
            assert!(rounds < 100, "it does not end");
        }
    }

    #[test]
    fn rules_go_first_then_chains_then_matches_then_options() {
        let at_fault = parse(KUBE).unwrap().tables[0].rules[3].text.clone();
        let (least, rounds) = shrunk(
            iptables(KUBE),
            rule(&at_fault),
            &["-m mark --mark", "-j DROP"],
        );
        insta::assert_snapshot!(least, @r"
        *filter
        :KUBE-FIREWALL - [0:0]
        -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
        COMMIT
        ");
        assert!(rounds <= 9, "{rounds} rounds");
        let (least, _) = shrunk(
            iptables(KUBE),
            rule(&at_fault),
            &["-m conntrack", "--ctorigdst"],
        );
        assert!(
            least.contains("-A KUBE-FIREWALL -m conntrack ! --ctorigdst 192.0.2.1\n"),
            "{least}"
        );
    }

    #[test]
    fn a_chain_is_left_out_only_if_the_loss_is_seen_without_it() {
        let (least, _) = shrunk(
            iptables(KUBE),
            rule("-A INPUT -j KUBE-FIREWALL"),
            &["-j KUBE-FIREWALL"],
        );
        insta::assert_snapshot!(least, @r"
        *filter
        :INPUT ACCEPT [0:0]
        -A INPUT -j KUBE-FIREWALL
        COMMIT
        ");
        let (least, _) = shrunk(
            iptables(KUBE),
            rule("-A INPUT -j KUBE-FIREWALL"),
            &[":OTHER"],
        );
        insta::assert_snapshot!(least, @r"
        *filter
        :OTHER - [0:0]
        -A INPUT -j KUBE-FIREWALL
        COMMIT
        ");
    }

    #[test]
    fn what_a_chain_loses_needs_no_rule() {
        let subject = Subject::Chain {
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
        };
        let (least, rounds) = shrunk(iptables(KUBE), subject.clone(), &[":FORWARD DROP"]);
        insta::assert_snapshot!(least, @r"
        *filter
        :FORWARD DROP [0:0]
        COMMIT
        ");
        assert_eq!(rounds, 2);
        let only = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n";
        let (least, _) = shrunk(iptables(only), subject, &[":FORWARD DROP"]);
        assert!(!least.contains("-A"), "{least}");
    }

    #[test]
    fn what_nft_wrote_shrinks_to_what_it_takes() {
        let at_fault =
            "add rule ip filter OWN tcp dport { 22, 80 } ip saddr @trusted counter accept";
        let (least, rounds) = shrunk(nft(NFT), rule(at_fault), &["saddr @trusted", "accept"]);
        insta::assert_snapshot!(least, @r"
        add table ip filter
        add chain ip filter OWN
        add set ip filter trusted { type ipv4_addr; }
        add element ip filter trusted { 192.0.2.1 }
        add rule ip filter OWN saddr @trusted accept
        ");
        assert!(rounds <= 12, "{rounds} rounds");
    }

    #[test]
    fn a_chain_that_nft_made_stays_with_its_table() {
        let subject = Subject::Chain {
            table: "filter".to_owned(),
            chain: "INPUT".to_owned(),
        };
        let (least, _) = shrunk(nft(NFT), subject, &["policy drop"]);
        insta::assert_snapshot!(least, @r"
        add table ip filter
        add chain ip filter INPUT { type filter hook input priority 0; policy drop; }
        ");
    }

    #[test]
    fn what_cannot_be_smaller_stays_as_it_is() {
        let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
        let (least, _) = shrunk(iptables(text), rule("-A INPUT -j DROP"), &["-j DROP"]);
        assert!(least.contains("-A INPUT -j DROP"), "{least}");
    }
}
