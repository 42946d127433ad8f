//! Lanes as bare namespaces, without a daemon: a process tree a lane, whose first process is the agent of all its places.
//!
//! Why one process, and not an agent a build as in containers: a lane does one thing at a time, and a network namespace
//! is new for every load. One agent moves with one call; many would have to be told, or started again. The builds share
//! nothing but that process all the same: each command enters mount, IPC, host name and control group namespaces that
//! only its build has, loses every right but two, and is gone, with all it started, before the next one begins.

mod directories;
mod inside;
mod protocol;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::JoinHandle;

use super::client::{AgentClient, Piece, pieces};
use super::{Engine, EngineError, Lane, LaneSpec, Place};
use crate::agent::protocol::{Reply, Request};
use crate::catalog::BuildId;
use crate::images::RootId;
use crate::sandbox::{self, Rights};
use crate::scenario::Namespace;
pub use directories::Directories;
pub use inside::main as lane_main;
use protocol::{Asked, Order};

/// The hidden command that a lane's processes run.
pub const LANE_COMMAND: &str = "lane";

/// What a kernel refuses to who is root in a user namespace alone, in which there is nobody else: `owner_check` of
/// net/netfilter/xt_owner.c. It takes `--uid-owner 0` there, and `--socket-exists`.
const NOTE_ON_USERS: &str = "run as an ordinary user, in user namespaces: the kernel refuses rules that match packets of users or groups other than root \
     (-m owner --uid-owner, --gid-owner) there";

/// The engine that needs no daemon.
pub struct NativeEngine {
    directories: Arc<Directories>,
    /// The root filesystem of each build; both backends of a version are in one.
    roots: BTreeMap<BuildId, RootId>,
    rights: Rights,
    /// The process trees that were started: each ends when its lane is closed or dropped.
    trees: Mutex<Vec<JoinHandle<()>>>,
}

impl NativeEngine {
    /// An engine that runs builds in `roots`, and the lab itself in every lane.
    pub fn new(directories: Arc<Directories>, roots: BTreeMap<BuildId, RootId>) -> Self {
        NativeEngine {
            directories,
            roots,
            rights: Rights::of_process(),
            trees: Mutex::default(),
        }
    }

    async fn open_lane(&self, spec: &LaneSpec) -> Result<Box<dyn Lane>, EngineError> {
        let order = self.order(spec)?;
        let name = format!("lane {}", spec.number);
        let lost = |error: std::io::Error| match std::fs::exists("/proc/self") {
            Ok(true) => EngineError::Lost(format!("cannot start {name}: {error}")),
            // The program starts itself through /proc/self/exe. In an initramfs nobody may have mounted it.
            _ => EngineError::Refused {
                what: format!("cannot start {name}: nothing is mounted at /proc"),
                mend: "mount -t proc proc /proc".to_owned(),
            },
        };
        let mut tree = sandbox::start(self.directories.program(), LANE_COMMAND).map_err(lost)?;
        let streams = (tree.stdin.take(), tree.stdout.take(), tree.stderr.take());
        let waiting = tokio::spawn(async move {
            // Whatever it ends with: its agent's last words are in the streams.
            let _ = tree.wait().await;
        });
        self.trees().push(waiting);
        let (Some(input), Some(output), Some(errors)) = streams else {
            return Err(EngineError::Fault(
                "a pipe that was asked for is not there".to_owned(),
            ));
        };
        let mut agent = AgentClient::new(name.clone(), Box::pin(input), both(output, errors));
        match agent.tell(&order).await? {
            Reply::Done => {}
            Reply::Lacks { message } => return Err(EngineError::Lost(message)),
            Reply::Refused { what, mend } => return Err(EngineError::Refused { what, mend }),
            other => {
                let fault = format!("{name} greeted with {other:?}");
                return Err(EngineError::Fault(fault));
            }
        }
        Ok(Box::new(NativeLane {
            agent,
            far: spec.far.clone(),
        }))
    }

    fn trees(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self, spec: &LaneSpec) -> Result<Order, EngineError> {
        let mut roots = Vec::new();
        let mut builds = BTreeMap::new();
        for build in &spec.builds {
            let root = self.roots.get(build);
            let root = root
                .ok_or_else(|| EngineError::Fault(format!("nothing was unpacked for {build}")))?;
            let root = self.directories.path(root);
            let place = roots.iter().position(|known| *known == root);
            let place = place.unwrap_or_else(|| {
                roots.push(root);
                roots.len() - 1
            });
            builds.insert(build.clone(), place);
        }
        Ok(Order {
            stage: self.directories.stage(),
            roots,
            builds,
            far: spec.far.clone(),
            legacy: spec.kind.has_legacy(),
        })
    }
}

impl Engine for NativeEngine {
    fn name(&self) -> String {
        match self.rights {
            Rights::Root => "native (root)".to_owned(),
            Rights::User => "native (user namespaces)".to_owned(),
        }
    }

    fn notes(&self) -> Vec<String> {
        match self.rights {
            Rights::Root => Vec::new(),
            Rights::User => vec![NOTE_ON_USERS.to_owned()],
        }
    }

    fn lanes_a_core(&self) -> usize {
        2
    }

    fn of_root(&self) -> &'static [&'static str] {
        match self.rights {
            Rights::Root => &[],
            Rights::User => &["owner"],
        }
    }

    fn open<'a>(&'a self, spec: &'a LaneSpec) -> BoxFuture<'a, Result<Box<dyn Lane>, EngineError>> {
        self.open_lane(spec).boxed()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        let trees = std::mem::take(&mut *self.trees());
        future::join_all(trees).map(drop).boxed()
    }
}

/// One process tree.
struct NativeLane {
    agent: AgentClient,
    far: BTreeSet<Namespace>,
}

impl Lane for NativeLane {
    fn ask<'a>(
        &'a mut self,
        place: &'a Place,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, EngineError>> {
        self.agent.ask_as(request, Asked { place, request }).boxed()
    }

    fn namespaces(&self) -> Vec<Namespace> {
        let far = self.far.iter().copied();
        std::iter::once(Namespace::Lane).chain(far).collect()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        // It ends when its standard input is closed; the engine waits for that when the run is over.
        drop(self);
        future::ready(()).boxed()
    }
}

/// What both streams bring, as it comes.
fn both(output: ChildStdout, errors: ChildStderr) -> BoxStream<'static, std::io::Result<Piece>> {
    let output = pieces(output).map(|piece| piece.map(Piece::Out));
    let errors = pieces(errors).map(|piece| piece.map(Piece::Err));
    stream::select(output, errors).boxed()
}
