//! Dumps that went over a stream not long ago. Both of its ends keep the same ones, so most need not be sent again: a command
//! that only reads leaves what was there, and so do most that restore what was read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::protocol::Reply;
use crate::observed::{SharedRules, State};

/// How many are kept.
const KEPT: usize = 8;

/// The dumps that went over one stream, the newest first.
#[derive(Debug, Default)]
pub struct Recent {
    dumps: VecDeque<Arc<State>>,
    /// Those of the dumps that came. A rule that is in several of them is one in memory: where there are thousands, most of
    /// what the lab holds are dumps that were kept.
    rules: SharedRules,
}

impl Recent {
    /// Has `reply` name the dumps that the other end keeps, before it is sent.
    pub fn shorten(&mut self, reply: &mut Reply) {
        match reply {
            Reply::Dumped { dump } => match self.dumps.iter().position(|known| known == dump) {
                Some(place) => *reply = Reply::DumpedBefore { place },
                None => self.keep(dump),
            },
            Reply::Burst { replies } => replies.iter_mut().for_each(|reply| self.shorten(reply)),
            _ => {}
        }
    }

    /// Puts the dumps that `reply` names in the place of their names. False where it names one that is not kept.
    #[must_use]
    pub fn restore(&mut self, reply: &mut Reply) -> bool {
        match reply {
            Reply::Dumped { dump } => {
                self.rules.share_with(Arc::make_mut(dump));
                self.keep(dump);
                true
            }
            Reply::DumpedBefore { place } => match self.dumps.get(*place).cloned() {
                Some(dump) => {
                    *reply = Reply::Dumped { dump };
                    true
                }
                None => false,
            },
            Reply::Burst { replies } => replies.iter_mut().all(|reply| self.restore(reply)),
            _ => true,
        }
    }

    fn keep(&mut self, dump: &Arc<State>) {
        if self.dumps.len() == KEPT {
            self.dumps.pop_back();
            self.rules.forget_unused();
        }
        self.dumps.push_front(dump.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Family;
    use crate::observed::{LegacyChain, LegacyRule, LegacyTable};

    /// A dump with one rule.
    fn dump(rule: u8) -> Reply {
        let chain = LegacyChain {
            name: "INPUT".to_owned(),
            policy: None,
            rules: vec![LegacyRule::read(&rule.to_string()).into()],
        };
        let table = LegacyTable {
            family: Family::Ipv4,
            name: "filter".to_owned(),
            chains: vec![chain],
        };
        Reply::Dumped {
            dump: Arc::new(State {
                nft: Vec::new(),
                legacy: vec![table],
            }),
        }
    }

    proptest! {
        #[test]
        fn what_comes_is_what_was_sent(bursts in prop::collection::vec(prop::collection::vec(0u8..12, 0..6), 0..40)) {
            let (mut sender, mut receiver) = (Recent::default(), Recent::default());
            for burst in bursts {
                let sent = Reply::Burst {
                    replies: burst.into_iter().map(dump).collect(),
                };
                let mut carried = sent.clone();
                sender.shorten(&mut carried);
                prop_assert!(receiver.restore(&mut carried));
                prop_assert_eq!(carried, sent);
            }
        }
    }

    #[test]
    fn a_rule_of_several_dumps_that_are_kept_is_one_in_memory_and_none_stays_without_its_dump() {
        let rule_of = |reply: &Reply| match reply {
            Reply::Dumped { dump } => dump.legacy[0].chains[0].rules[0].clone(),
            other => panic!("{other:?}"),
        };
        let mut receiver = Recent::default();
        let (mut one, mut other) = (dump(0), dump(0));
        assert!(!Arc::ptr_eq(&rule_of(&one), &rule_of(&other)));
        assert!(receiver.restore(&mut one) && receiver.restore(&mut other));
        let rule = rule_of(&one);
        assert!(Arc::ptr_eq(&rule, &rule_of(&other)));
        let kept = Arc::downgrade(&rule);
        drop((rule, one, other));
        assert!(kept.upgrade().is_some(), "its dumps are kept");
        assert!((1..=8).all(|of| receiver.restore(&mut dump(of))));
        assert!(kept.upgrade().is_none(), "its dumps are not kept any more");
    }

    #[test]
    fn a_dump_is_sent_once_as_long_as_it_is_kept() {
        let mut sender = Recent::default();
        let mut is_sent = |rule| {
            let mut reply = dump(rule);
            sender.shorten(&mut reply);
            matches!(reply, Reply::Dumped { .. })
        };
        assert!(is_sent(0));
        assert!(!is_sent(0));
        assert!((1..9).all(&mut is_sent));
        assert!(is_sent(0));
        assert!(!Recent::default().restore(&mut Reply::DumpedBefore { place: 0 }));
    }
}
