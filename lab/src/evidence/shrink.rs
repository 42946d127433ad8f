//! A ruleset on its way to the least that still shows a loss: first fewer rules, then rules with fewer options.

use super::ddmin::Ddmin;
use crate::ruleset::{Rule, Ruleset, Target, atom_ranges, target, unit_ranges};

/// The steps of a shrink: each stage begins with what the one before it left.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Whole rules are left out.
    Rules(Ddmin<usize>),
    /// Whole matches, and options of the rules themselves, are left out.
    Units(Ddmin<Piece>),
    /// Single options of a match or target are left out.
    Options(Ddmin<Piece>),
    /// Nothing can be left out any more.
    Done,
}

/// A piece of a rule: words that stand or fall together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    /// The rule's place in the ruleset, from 0.
    rule: usize,
    /// The places of its words.
    words: Vec<usize>,
}

/// A ruleset that shows a loss, and smaller ones that may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrink {
    /// What the stage in hand began with.
    ruleset: Ruleset,
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
    /// `ruleset` shows a loss, at the rule in `place` (from 0): that alone is tried first.
    pub fn new(ruleset: Ruleset, place: usize) -> Self {
        let rules = (0..ruleset.rule_count()).collect();
        let mut shrink = Shrink {
            ruleset,
            stage: Stage::Rules(Ddmin::new(rules, Some(vec![place]))),
        };
        shrink.skip_what_is_through();
        shrink
    }

    /// How much is left.
    pub fn left(&self) -> Smaller {
        let least = self.least();
        Smaller {
            rules: least.rule_count(),
            words: least.rules().map(|(_, rule)| rule.tokens.len()).sum(),
        }
    }

    /// What is to be tried next; nothing once nothing can be left out.
    pub fn candidates(&self) -> Vec<Ruleset> {
        match &self.stage {
            Stage::Rules(ddmin) => {
                let only = |kept: Vec<usize>| self.ruleset.only(|place| kept.contains(&place));
                let kept = ddmin.candidates().into_iter().map(only);
                kept.map(without_idle_chains).collect()
            }
            Stage::Units(ddmin) | Stage::Options(ddmin) => {
                let candidates = ddmin.candidates().into_iter();
                candidates.map(|pieces| self.of_pieces(&pieces)).collect()
            }
            Stage::Done => Vec::new(),
        }
    }

    /// Goes on with the first of the candidates that showed the loss, counted from 0.
    pub fn tell(&mut self, shown: Option<usize>) {
        match &mut self.stage {
            Stage::Rules(ddmin) => ddmin.tell(shown),
            Stage::Units(ddmin) | Stage::Options(ddmin) => ddmin.tell(shown),
            Stage::Done => {}
        }
        self.skip_what_is_through();
    }

    /// The least ruleset that is known to show the loss.
    pub fn least(&self) -> Ruleset {
        match &self.stage {
            Stage::Rules(ddmin) => {
                let kept = ddmin.items();
                without_idle_chains(self.ruleset.only(|place| kept.contains(&place)))
            }
            Stage::Units(ddmin) | Stage::Options(ddmin) => self.of_pieces(ddmin.items()),
            Stage::Done => self.ruleset.clone(),
        }
    }

    fn advance(&mut self) {
        let pieces = |ranges: fn(&[String]) -> Vec<Vec<usize>>| {
            let rules = self.ruleset.rules().enumerate();
            let pieces = rules.flat_map(|(rule, (_, text))| {
                let words = ranges(&text.tokens).into_iter();
                words.map(move |words| Piece { rule, words })
            });
            Ddmin::new(pieces.collect(), None)
        };
        self.stage = match &self.stage {
            Stage::Rules(_) => Stage::Units(pieces(unit_ranges)),
            Stage::Units(_) => Stage::Options(pieces(atom_ranges)),
            Stage::Options(_) | Stage::Done => Stage::Done,
        };
    }

    /// A stage with nothing to try is through before it begins.
    fn skip_what_is_through(&mut self) {
        while self.stage != Stage::Done && self.candidates().is_empty() {
            self.ruleset = self.least();
            self.advance();
        }
    }

    /// The ruleset with only these pieces of its rules.
    fn of_pieces(&self, pieces: &[Piece]) -> Ruleset {
        let mut smaller = self.ruleset.clone();
        let rules = smaller.tables.iter_mut().flat_map(|table| &mut table.rules);
        for (place, rule) in rules.enumerate() {
            let mut words: Vec<usize> = pieces
                .iter()
                .filter(|piece| piece.rule == place)
                .flat_map(|piece| piece.words.iter().copied())
                .collect();
            words.sort_unstable();
            if words.len() < rule.tokens.len() {
                let kept = words.iter().map(|&word| rule.tokens[word].clone());
                *rule = Rule::new(rule.chain.clone(), kept.collect());
            }
        }
        without_idle_chains(smaller)
    }
}

/// The ruleset without tables and chains that nothing needs: no rule is in them or leads to them, and no policy but
/// `ACCEPT` is theirs.
fn without_idle_chains(mut ruleset: Ruleset) -> Ruleset {
    for table in &mut ruleset.tables {
        let rules = &table.rules;
        let is_needed = |name: &str| {
            rules.iter().any(|rule| {
                let leads_there = match target(&rule.tokens) {
                    Target::Jump(chain) | Target::Goto(chain) => chain == name,
                    _ => false,
                };
                rule.chain == name || leads_there
            })
        };
        table.chains.retain(|chain| {
            let is_closed = chain
                .policy
                .as_deref()
                .is_some_and(|policy| policy != "ACCEPT");
            is_closed || is_needed(&chain.name)
        });
    }
    ruleset
        .tables
        .retain(|table| !table.rules.is_empty() || !table.chains.is_empty());
    ruleset
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ruleset::parse;

    const KUBE: &str = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:KUBE-FIREWALL - [0:0]\n\
        :OTHER - [0:0]\n-A INPUT -j KUBE-FIREWALL\n-A OUTPUT -j KUBE-FIREWALL\n-A OTHER -s 192.0.2.1/32 -j RETURN\n\
        -A KUBE-FIREWALL -p tcp -m comment --comment \"block all\" -m mark --mark 0x8000/0x8000 -m conntrack --ctstate NEW \
        ! --ctorigdst 192.0.2.1 -j DROP\nCOMMIT\n";

    /// Shrinks with everything that contains all of `needed` in one rule still showing the loss.
    fn shrunk(text: &str, place: usize, needed: &[&str]) -> (String, usize) {
        let shows = |candidate: &Ruleset| {
            let has = |rule: &Rule| needed.iter().all(|words| rule.text.contains(words));
            candidate.rules().any(|(_, rule)| has(rule))
        };
        let mut shrink = Shrink::new(parse(text).unwrap(), place);
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
    fn rules_go_first_then_matches_then_options() {
        let (least, rounds) = shrunk(KUBE, 3, &["-m mark --mark", "-j DROP"]);
        insta::assert_snapshot!(least, @r"
        *filter
        :FORWARD DROP [0:0]
        :KUBE-FIREWALL - [0:0]
        -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
        COMMIT
        ");
        assert!(rounds <= 8, "{rounds} rounds");
        let (least, _) = shrunk(KUBE, 3, &["-m conntrack", "--ctorigdst"]);
        assert!(
            least.contains("-A KUBE-FIREWALL -m conntrack ! --ctorigdst 192.0.2.1\n"),
            "{least}"
        );
    }

    #[test]
    fn a_chain_stays_as_long_as_a_rule_leads_to_it() {
        let (least, _) = shrunk(KUBE, 0, &["-j KUBE-FIREWALL"]);
        insta::assert_snapshot!(least, @r"
        *filter
        :INPUT ACCEPT [0:0]
        :FORWARD DROP [0:0]
        :KUBE-FIREWALL - [0:0]
        -A INPUT -j KUBE-FIREWALL
        COMMIT
        ");
    }

    #[test]
    fn what_cannot_be_smaller_stays_as_it_is() {
        let text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n";
        let (least, _) = shrunk(text, 0, &["-j DROP"]);
        assert_eq!(least, text);
    }
}
