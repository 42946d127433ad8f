//! What of the memory is kept for later runs, and what earlier ones kept.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Entry, Id, Inner, Known, MOST_BYTES, Memory};
use crate::engine::EngineError;
use crate::observed::State;
use crate::plan::step::{Answer, Burst};
use crate::runner::kept::{Kept, KeptAnswer, KeptBurst};

impl Memory {
    /// What an earlier run learnt of a burst. What is kept beside it will be asked for soon, and is known from now on.
    pub(super) fn recall(&self, key: Id) -> Option<Arc<Known>> {
        let kept = self.kept.as_ref()?;
        let block = kept.block_with(key)?;
        self.take_states(block.states);
        let mut of_key = None;
        for burst in block.bursts {
            let known = self.as_known(kept, &burst, block.learnt).map(Arc::new);
            let is_asked = burst.key == key;
            let mut inner = self.lock();
            if !is_asked && inner.entries.contains_key(&burst.key) {
                continue;
            }
            match known {
                _ if burst.is_doubtful => drop(inner.entries.insert(burst.key, Entry::Unsure)),
                Some(known) if is_asked => of_key = Some(known),
                // It may be newer elsewhere, or gone.
                _ if !kept.is_in_the_block_of(burst.key, key) => {}
                Some(known) if self.is_verified(burst.key) => {
                    inner.to_verify.insert(burst.key, known);
                }
                Some(known) => inner.keep(burst.key, known, MOST_BYTES),
                None => {}
            }
        }
        of_key
    }

    fn take_states(&self, states: Vec<(Id, State)>) {
        let mut inner = self.lock();
        let Inner {
            states: known,
            rules,
            ..
        } = &mut *inner;
        for (id, mut state) in states {
            known.entry(id).or_insert_with(|| {
                rules.share_with(&mut state);
                state.into()
            });
        }
    }

    /// What is kept of a burst, with its states; none where one of these is gone.
    fn as_known(&self, kept: &Kept, burst: &KeptBurst, learnt: Timestamp) -> Option<Known> {
        let answer = |answer: &KeptAnswer| {
            Some(match answer {
                KeptAnswer::Ran(ran) => Answer::Ran(ran.clone()),
                KeptAnswer::Dumped(id) => Answer::Dumped(self.state_of(kept, *id)?),
                KeptAnswer::Reset => Answer::Reset,
                KeptAnswer::Furnished(furnished) => Answer::Furnished(furnished.clone()),
                KeptAnswer::Probed(outcomes) => Answer::Probed(outcomes.clone()),
            })
        };
        Some(Known {
            answers: burst.answers.iter().map(answer).collect::<Option<_>>()?,
            after: burst.after,
            learnt: Some(learnt),
        })
    }

    fn state_of(&self, kept: &Kept, id: Id) -> Option<Arc<State>> {
        let known = |memory: &Memory| memory.lock().states.get(&id).cloned();
        if let Some(state) = known(self) {
            return Some(state);
        }
        self.take_states(kept.block_with(id)?.states);
        known(self)
    }

    /// Keeps what came of a burst for later runs.
    pub(super) fn keep(
        &self,
        (key, what): (Id, &Burst),
        known: &Known,
        is_doubtful: bool,
    ) -> Result<(), EngineError> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        let mut states = HashMap::new();
        let mut answers = Vec::new();
        for answer in &known.answers {
            answers.push(match answer {
                Answer::Ran(ran) => KeptAnswer::Ran(ran.clone()),
                Answer::Dumped(state) => {
                    let (id, state) = self.state(state.clone());
                    states.insert(id, state);
                    KeptAnswer::Dumped(id)
                }
                Answer::Reset => KeptAnswer::Reset,
                Answer::Furnished(furnished) => KeptAnswer::Furnished(furnished.clone()),
                Answer::Probed(outcomes) => KeptAnswer::Probed(outcomes.clone()),
            });
        }
        let burst = KeptBurst {
            key,
            build: what.build().cloned(),
            answers,
            after: known.after,
            is_doubtful,
        };
        kept.keep(burst, |id| states.get(&id).cloned());
        Ok(())
    }
}
