//! What packets have to say of what rules predict: they have the last word.

use std::collections::BTreeSet;

use super::outcome::ProbeVerdict;
use super::verdict::{Consequence, Impact};

/// In which ways packets fared otherwise afterwards.
pub fn shown(probes: &[ProbeVerdict]) -> BTreeSet<Consequence> {
    let effects = probes.iter().flat_map(|probe| probe.after.values());
    effects.filter_map(|effect| effect.consequence()).collect()
}

/// What the packets of a pairing showed, beside all that its rules and chains predict.
#[derive(Debug)]
pub struct Proof {
    /// Some were sent into what a reader left.
    were_sent: bool,
    /// In which ways they fared otherwise.
    shown: BTreeSet<Consequence>,
    /// The worst of these that nothing predicts: any damaged rule may be to blame.
    unexplained: Option<Consequence>,
}

impl Proof {
    /// Asks for what is predicted only where packets fared otherwise.
    pub fn new(probes: &[ProbeVerdict], predicted: impl FnOnce() -> BTreeSet<Consequence>) -> Self {
        let shown = shown(probes);
        let unexplained = match shown.is_empty() {
            true => None,
            false => shown.difference(&predicted()).max().copied(),
        };
        Proof {
            were_sent: probes.iter().any(|probe| !probe.after.is_empty()),
            shown,
            unexplained,
        }
    }

    /// What a damaged rule does that is predicted to do `this`. Where packets fared in that way, that; where in a way that nothing
    /// predicts, the worst of it. Packets that it dropped or let through would have shown it: where none did, nothing. What it
    /// does to packets otherwise they cannot deny where they fare otherwise by another rule or chain.
    pub fn of(&self, this: Consequence) -> Option<Impact> {
        let is_undenied = this == Consequence::Misdirected && !self.shown.is_empty();
        let what = match !self.were_sent || self.shown.contains(&this) {
            true => Some(this),
            false => self.unexplained.or(is_undenied.then_some(this)),
        };
        what.map(|what| self.beside(what))
    }

    /// What a chain does, beside what packets showed.
    pub fn beside(&self, what: Consequence) -> Impact {
        Impact {
            what,
            confirmed: self.shown.contains(&what),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::Consequence::{Blackhole, Exposure, Misdirected};
    use super::*;
    use crate::judge::verdict::Effect;
    use crate::plan::Operation;

    fn probe(effect: Option<Effect>) -> ProbeVerdict {
        ProbeVerdict {
            name: "ping".to_owned(),
            expected: "delivered".to_owned(),
            before: None,
            written: None,
            as_expected: None,
            after: effect
                .map(|of| (Operation::Rewrite, of))
                .into_iter()
                .collect(),
            then: BTreeMap::new(),
        }
    }

    #[rstest]
    #[case::none_sent(None, &[Misdirected, Blackhole], Misdirected, Some(Misdirected))]
    #[case::as_before(Some(Effect::AsBefore), &[Blackhole], Blackhole, None)]
    #[case::as_predicted(Some(Effect::Dropped), &[Misdirected, Blackhole], Blackhole, Some(Blackhole))]
    #[case::as_another_rule_predicts(Some(Effect::Dropped), &[Misdirected, Blackhole], Misdirected, Some(Misdirected))]
    #[case::graver_than_shown(Some(Effect::Rerouted), &[Misdirected, Blackhole], Blackhole, None)]
    #[case::as_nothing_predicts(Some(Effect::Dropped), &[Misdirected, Exposure], Misdirected, Some(Blackhole))]
    fn packets_have_the_last_word(
        #[case] effect: Option<Effect>,
        #[case] of_all: &[Consequence],
        #[case] of_this: Consequence,
        #[case] proved: Option<Consequence>,
    ) {
        let proof = Proof::new(&[probe(effect)], || of_all.iter().copied().collect());
        assert_eq!(proof.of(of_this).map(|of| of.what), proved);
    }
}
