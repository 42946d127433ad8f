//! The lanes of one kind, which are lent to whoever has something to run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use super::memory::{Id, World};
use super::{Event, RunError, perform, through};
use crate::agent::protocol::Request;
use crate::catalog::Build;
use crate::engine::{Engine, EngineError, Lane, LaneSpec, Place};
use crate::fault;
use crate::plan::control::control;
use crate::plan::coroutine::Coroutine;

/// What a command of the control may take at least: it shows whether the lab works, not how patient its user is.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);

/// A lane, and what is in it.
pub struct OpenLane {
    /// The lane.
    pub lane: Box<dyn Lane>,
    /// What was furnished; none where that is not known.
    pub setup: Option<Id>,
    /// What a command would meet; none where that is not known.
    pub world: Option<World>,
    /// Whether packets met the rules that lie there, or others since the lane was emptied: limits are used up then, and lists of who
    /// came by are filled.
    pub met_packets: bool,
    /// Whether packets may have filled what was furnished.
    pub is_filled: bool,
}

impl OpenLane {
    /// Whether the lane is still there: builds alone may have done all that was asked for, in a namespace that outlives its
    /// holder.
    ///
    /// # Errors
    /// It is gone.
    pub async fn is_there(&mut self) -> Result<(), EngineError> {
        let hello = self.lane.ask(&Place::Holder, &Request::Hello).await;
        hello.map(drop)
    }
}

/// The lanes of one kind.
pub struct Lanes<'r> {
    engine: &'r dyn Engine,
    /// What each of them is to hold. The number is the run's next.
    spec: LaneSpec,
    /// The builds that are joined to each.
    builds: Vec<Build>,
    timeout: Duration,
    events: Sender<Event>,
    /// How many lanes of whichever kind were opened.
    opened: &'r AtomicUsize,
    /// How many more of this kind may be opened.
    to_open: AtomicUsize,
    /// One for each lane that is open and not lent.
    permits: Semaphore,
    /// The lane that was used last is the last one.
    idle: Mutex<Vec<OpenLane>>,
}

impl<'r> Lanes<'r> {
    /// None is open yet. So many will be at most.
    pub fn new(
        engine: &'r dyn Engine,
        (spec, most): (LaneSpec, usize),
        builds: Vec<Build>,
        timeout: Duration,
        (opened, events): (&'r AtomicUsize, Sender<Event>),
    ) -> Self {
        Lanes {
            engine,
            spec,
            builds,
            timeout,
            events,
            opened,
            to_open: AtomicUsize::new(most),
            permits: Semaphore::new(0),
            idle: Mutex::default(),
        }
    }

    /// After so long a command is killed.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    fn take_in(&self, open: OpenLane) {
        self.idle().push(open);
        self.permits.add_permits(1);
    }

    /// Lends a lane: one of which `is_best` says so, if one is idle; else one of which `is_good` does; else the one that was idle
    /// longest. Where none is idle, one is opened, if there may be one more: a run that knows everything opens none. Else it waits
    /// until one is idle.
    ///
    /// # Errors
    /// A lane cannot be opened, or its builds do not pass the control.
    pub async fn lend(
        &self,
        is_best: impl Fn(&OpenLane) -> bool,
        is_good: impl Fn(&OpenLane) -> bool,
    ) -> Result<Lease<'_>, RunError> {
        let missing = || EngineError::Fault("no lane is open that was to be idle".to_owned());
        // It comes back with the lane, which may be gone instead.
        match self.permits.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(_) if self.may_open() => {
                return Ok(Lease {
                    open: self.open().await?,
                    lanes: self,
                });
            }
            Err(_) => self
                .permits
                .acquire()
                .await
                .map_err(|_| missing())?
                .forget(),
        }
        let mut idle = self.idle();
        let best = idle.iter().position(is_best);
        let best = best.or_else(|| idle.iter().position(is_good));
        let best = best.or((!idle.is_empty()).then_some(0));
        let open = best.map(|place| idle.remove(place));
        drop(idle);
        Ok(Lease {
            open: open.ok_or_else(missing)?,
            lanes: self,
        })
    }

    /// Whether one more lane may be opened, which whoever asks then does.
    fn may_open(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.to_open.fetch_update(set, fetch, one_less).is_ok()
    }

    async fn open(&self) -> Result<OpenLane, RunError> {
        let spec = LaneSpec {
            number: self.opened.fetch_add(1, Ordering::Relaxed) + 1,
            ..self.spec.clone()
        };
        let begun = Instant::now();
        self.emit(Event::LaneOpening {
            number: spec.number,
            kind: spec.kind,
            builds: spec.builds.len(),
        })
        .await;
        fault::step();
        let mut lane = self.engine.open(&spec).await?;
        let took = begun.elapsed();
        let builds = self.builds.clone();
        let coroutine = Coroutine::new(move |performer| control(performer, builds));
        let timeout = self.timeout.max(CONTROL_TIMEOUT);
        let wrong = through(coroutine, async |burst| {
            perform(lane.as_mut(), burst, timeout).await
        });
        let wrong = wrong.await;
        match wrong {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => {
                lane.close().await;
                return Err(RunError::Control(wrong));
            }
            Err(error) => {
                lane.close().await;
                return Err(error.into());
            }
        }
        self.emit(Event::LaneReady {
            number: spec.number,
            took,
            at: Instant::now(),
        })
        .await;
        Ok(OpenLane {
            lane,
            setup: None,
            world: None,
            met_packets: false,
            is_filled: false,
        })
    }

    /// Takes all lanes down that are not lent.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        future::join_all(idle.into_iter().map(|open| open.lane.close())).await;
    }

    /// A listener that is gone does not stop the run.
    async fn emit(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<OpenLane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lane that is lent. One that is not given back is gone with this.
pub struct Lease<'l> {
    /// The lane.
    pub open: OpenLane,
    lanes: &'l Lanes<'l>,
}

impl Lease<'_> {
    /// Gives the lane back, for others to have.
    pub fn give_back(self) {
        self.lanes.take_in(self.open);
    }
}
