//! Work as steps with events, on threads of its own, under locks of the store.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use super::event::{Event, Listener, Step};
use super::store::{Held, Store, StoreError};

/// Runs `work` as a step, with events before and after.
pub(crate) async fn step<T, E: fmt::Display>(
    events: &Listener,
    step: Step,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    events(Event::Started(step.clone()));
    let result = work.await;
    events(match &result {
        Ok(_) => Event::Finished(step),
        Err(error) => Event::Failed {
            step,
            reason: error.to_string(),
        },
    });
    result
}

/// Takes a lock of the store without holding up the others; says so where it has to wait.
pub(crate) async fn lock(
    store: &Store,
    name: &str,
    events: &Listener,
    about: Step,
) -> Result<Held, StoreError> {
    let (store, name, events) = (store.clone(), name.to_owned(), Arc::clone(events));
    let take = move || {
        let mut waited = false;
        let locked = store.lock(&name, || {
            waited = true;
            events(Event::Waiting(about.clone()));
        });
        if waited {
            events(Event::Finished(about));
        }
        locked
    };
    blocking(take).await
}

/// Runs what takes long without waiting for others on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    // A panic there is a fault of the lab, and no reason why a build cannot be had.
    done.unwrap_or_else(|failure| resume_unwind(failure.into_panic()))
}
