//! A procedure as a sequence: it yields its next steps, is given what came of them, and yields the next.
//!
//! Procedures branch on what they saw, so they are written as plain `async` code. Nothing here waits for anything
//! but the answers to the steps just yielded: no clock, no I/O, no executor. The same answers give the same steps.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::fault::Fault;
use super::step::{Answer, Burst, Step};
use super::trace::StepRef;

#[derive(Default)]
struct Slot {
    asked: Option<Burst>,
    answers: Option<Vec<Answer>>,
    /// How many steps were answered.
    done: usize,
}

/// A step's answer, with the step's place.
pub type Answered = (StepRef, Answer);

/// The procedure's end of a coroutine: where it asks for a step and gets the answer.
#[derive(Clone, Default)]
pub struct Performer(Arc<Mutex<Slot>>);

impl Performer {
    /// Has `burst` done and returns what came of each step: of fewer than all only where it was to stop and did.
    ///
    /// # Errors
    /// An answer that does not fit its step, or a step without one.
    pub async fn perform(&self, burst: Burst) -> Result<Vec<Answered>, Fault> {
        let (steps, until_failure) = (burst.steps.clone(), burst.until_failure);
        self.with(|slot| slot.asked = Some(burst));
        let answers = std::future::poll_fn(|_| match self.with(|slot| slot.answers.take()) {
            Some(answers) => Poll::Ready(answers),
            None => Poll::Pending,
        })
        .await;
        let first = self.with(|slot| {
            slot.done += answers.len();
            slot.done - answers.len()
        });
        for (step, answer) in steps.iter().zip(&answers) {
            if !answer.fits(&step.action) {
                return Err(Fault::Misfit {
                    step: step.to_string(),
                    answer: answer.name().to_owned(),
                });
            }
        }
        let may_stop = until_failure && answers.last().is_some_and(Answer::is_failure);
        if let Some(step) = steps.get(answers.len()).filter(|_| !may_stop) {
            return Err(Fault::NotDone {
                step: step.to_string(),
            });
        }
        let places = (first..).map(StepRef::at);
        Ok(places.zip(answers).collect())
    }

    /// Has one step done and returns what came of it.
    ///
    /// # Errors
    /// As [`Performer::perform`].
    pub async fn perform_one(&self, step: Step) -> Result<Answered, Fault> {
        let shown = step.to_string();
        let mut answers = self.perform(Burst::all(vec![step])).await?;
        answers.pop().ok_or(Fault::NotDone { step: shown })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Slot) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a coroutine comes to next.
#[derive(Debug)]
pub enum Next<T> {
    /// These steps are to be done.
    Steps(Burst),
    /// The procedure is through.
    Through(T),
}

/// A procedure under way, which comes to a `T`.
pub struct Coroutine<T> {
    performer: Performer,
    procedure: Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>,
}

impl<T> Coroutine<T> {
    /// Starts `procedure`; nothing of it runs before the first [`Coroutine::next`].
    pub fn new<F>(procedure: impl FnOnce(Performer) -> F) -> Self
    where
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let performer = Performer::default();
        let procedure = Box::pin(procedure(performer.clone()));
        Coroutine {
            performer,
            procedure,
        }
    }

    /// What comes next, given what came of the steps before (none for the first).
    ///
    /// # Errors
    /// An answer that does not fit its step, or a procedure that waits for something else.
    pub fn next(&mut self, answers: Option<Vec<Answer>>) -> Result<Next<T>, Fault> {
        self.performer.with(|slot| slot.answers = answers);
        let mut context = Context::from_waker(Waker::noop());
        match pin!(&mut self.procedure).poll(&mut context) {
            Poll::Ready(came) => came.map(Next::Through),
            Poll::Pending => {
                let asked = self.performer.with(|slot| slot.asked.take());
                asked.map(Next::Steps).ok_or(Fault::Stuck)
            }
        }
    }
}
