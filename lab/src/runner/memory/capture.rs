//! What lanes held, in the kernel's own form: it takes no command to have a lane hold it again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Id;
use crate::agent::kernel::Capture;

/// How many bytes of captures are kept; then the first are forgotten.
const MOST: usize = 16 << 20;

/// What is known of having a lane hold a state at once.
#[derive(Clone)]
pub enum Captured {
    /// It was not captured, or is forgotten.
    Not,
    /// This brings it about.
    As(Arc<Capture>),
    /// The kernel does not take back what it sent.
    NotTakenBack,
}

/// What was captured, by what was furnished and what the kernel held.
#[derive(Default)]
pub(super) struct Captures {
    known: HashMap<(Id, Id), Captured>,
    /// What was captured, in that order, with how many bytes it has.
    order: VecDeque<((Id, Id), usize)>,
    /// The bytes of all of it.
    bytes: usize,
}

impl Captures {
    /// What is known of a state.
    pub(super) fn of(&self, setup: Id, state: Id) -> Captured {
        let known = self.known.get(&(setup, state));
        known.cloned().unwrap_or(Captured::Not)
    }

    /// Keeps what is known of a state from now on.
    pub(super) fn keep(&mut self, setup: Id, state: Id, captured: Captured) {
        let captured = match captured {
            // Of what is very large nothing else could be kept beside it: commands bring it about.
            Captured::As(capture) if capture.size() > MOST / 4 => Captured::NotTakenBack,
            other => other,
        };
        if let Captured::As(capture) = &captured {
            self.order.push_back(((setup, state), capture.size()));
            self.bytes += capture.size();
        }
        self.known.insert((setup, state), captured);
        while self.bytes > MOST
            && let Some((oldest, bytes)) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}
