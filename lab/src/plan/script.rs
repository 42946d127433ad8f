//! A procedure as a sequence: it yields its next steps, is given what came of them, and yields the next.
//!
//! Procedures branch on what they saw, so they are written as plain `async` code. Nothing here waits for anything
//! but the answers to the steps just yielded: no clock, no I/O, no executor. The same answers give the same steps.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::step::{Answer, Burst, Step};

#[derive(Default)]
struct Slot {
    asked: Option<Burst>,
    answers: Option<Vec<Answer>>,
}

/// The procedure's end of a script: where it asks for a step and gets the answer.
#[derive(Clone, Default)]
pub struct Lab(Arc<Mutex<Slot>>);

impl Lab {
    /// Has `burst` done and returns what came of each step: of fewer than all where it was to stop and did.
    pub async fn perform(&self, burst: Burst) -> Vec<Answer> {
        self.with(|slot| slot.asked = Some(burst));
        std::future::poll_fn(|_| match self.with(|slot| slot.answers.take()) {
            Some(answers) => Poll::Ready(answers),
            None => Poll::Pending,
        })
        .await
    }

    /// Has one step done and returns what came of it; none if it was not done.
    pub async fn perform_one(&self, step: Step) -> Option<Answer> {
        self.perform(Burst::all(vec![step])).await.pop()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Slot) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A procedure under way.
pub struct Script {
    lab: Lab,
    procedure: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Script {
    /// Starts `procedure`; nothing of it runs before the first [`Script::next`].
    pub fn new<F>(procedure: impl FnOnce(Lab) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let lab = Lab::default();
        let procedure = Box::pin(procedure(lab.clone()));
        Script { lab, procedure }
    }

    /// The next steps, given what came of those before (none for the first); none when the procedure is through.
    pub fn next(&mut self, answers: Option<Vec<Answer>>) -> Option<Burst> {
        self.lab.with(|slot| slot.answers = answers);
        let mut context = Context::from_waker(Waker::noop());
        match pin!(&mut self.procedure).poll(&mut context) {
            Poll::Ready(()) => None,
            Poll::Pending => self.lab.with(|slot| slot.asked.take()),
        }
    }
}
