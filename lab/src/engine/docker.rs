//! Lanes as Docker containers: a holder without network, a container an image that joins its namespace, and a
//! container for each namespace that the lane has interfaces to.
//!
//! The agent is PID 1 of every container and is spoken to over its standard streams, attached once, or past the daemon over
//! a socket: a command then costs a fork and an exec, not a `docker exec`.

mod images;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::container::LogOutput;
use bollard::models::{HostConfig, HostConfigLogConfig, Mount, MountType};
use futures_util::future::{self, BoxFuture};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::RwLock;

use super::client::{AgentClient, Piece};
use super::socket::AgentSocket;
use super::{Engine, EngineError, FORWARDING, Lane, LaneSpec, Place, SYSCTLS};
use crate::agent::protocol::{Reply, Request};
use crate::catalog::BuildId;
use crate::catalog::names::{self, SHARED_DIRECTORY};
use crate::docker::{AgentContainer, DockerError};
use crate::images::{RootId, RootsError};
use crate::leftovers::Claim;
use crate::scenario::Namespace;

pub use images::ContainerImages;

/// The Docker engine of one run.
pub struct DockerEngine {
    images: Arc<ContainerImages>,
    /// The root filesystem of each build; both backends of a version are in one.
    roots: BTreeMap<BuildId, RootId>,
    /// What every container of this run carries.
    labels: HashMap<String, String>,
    run: String,
    /// Where agents and the lab meet.
    sockets: PathBuf,
    /// Whether the daemon shows containers directories of this machine, as far as is known.
    is_near: AtomicBool,
    /// Read-locked by every container while it is started.
    starting: Arc<RwLock<()>>,
}

impl DockerEngine {
    /// An engine that starts the images of builds' `roots`. What it starts is of `claim`'s run, whose id is part of the
    /// containers' names.
    pub fn new(
        images: Arc<ContainerImages>,
        roots: BTreeMap<BuildId, RootId>,
        claim: &Claim,
    ) -> Self {
        DockerEngine {
            images,
            roots,
            labels: claim.labels(),
            run: claim.run().to_owned(),
            sockets: claim.directory(),
            is_near: AtomicBool::new(true),
            starting: Arc::default(),
        }
    }

    async fn open_lane(&self, spec: &LaneSpec) -> Result<Box<dyn Lane>, EngineError> {
        let holder_name = names::lane_container(&self.run, spec.number);
        let holder_image = self.images.holder().await.map_err(unknown)?.reference();
        let holder = self
            .start(&holder_image, holder_name.clone(), |host| {
                alone(host, FORWARDING);
            })
            .await?;
        let mut members: BTreeMap<String, Vec<BuildId>> = BTreeMap::new();
        for build in &spec.builds {
            let image = self.image(build).await?;
            members.entry(image).or_default().push(build.clone());
        }
        let joined = members.iter().enumerate().map(|(place, (image, _))| {
            let network = format!("container:{}", holder.container.id());
            let name = names::container_in_lane(&holder_name, place + 1);
            self.start(image, name, move |host| {
                host.network_mode = Some(network.clone())
            })
        });
        let far = spec.far.iter().map(|&namespace| {
            let processes = format!("container:{}", holder.container.id());
            let name = names::container_in_lane(&holder_name, namespace);
            let started = self.start(&holder_image, name, move |host| {
                alone(host, &[]);
                // Interfaces are moved to a namespace by a process in it, which the lane's agent must know by its id.
                host.pid_mode = Some(processes.clone());
            });
            started.map(move |member| Ok((namespace, member?)))
        });
        let (containers, far) =
            future::try_join(future::try_join_all(joined), future::try_join_all(far)).await?;
        let places = members
            .values()
            .enumerate()
            .flat_map(|(place, builds)| builds.iter().map(move |b| (b.clone(), place)));
        let mut lane = DockerLane {
            holder,
            places: places.collect(),
            containers,
            keeping: BTreeSet::new(),
            far: far.into_iter().collect(),
        };
        lane.greet(spec).await?;
        Ok(Box::new(lane))
    }

    /// The container image of a build.
    async fn image(&self, build: &BuildId) -> Result<String, EngineError> {
        let root = self.roots.get(build);
        let root =
            root.ok_or_else(|| EngineError::Fault(format!("no image was made for {build}")))?;
        Ok(self.images.image(root).await.map_err(unknown)?.reference())
    }

    /// Starts a container and attaches to its agent. `namespaces` says which namespaces it is in.
    async fn start(
        &self,
        image: &str,
        name: String,
        namespaces: impl FnOnce(&mut HostConfig),
    ) -> Result<Member, EngineError> {
        let socket = match self.is_near.load(Ordering::Relaxed) {
            // Where there is no socket, the streams carry everything.
            true => AgentSocket::open(&self.sockets.join(&name)).ok(),
            false => None,
        };
        let mut host = confined();
        namespaces(&mut host);
        let started = self
            .started(image, &name, with_socket(&host, socket.as_ref()))
            .await;
        let (container, socket) = match started {
            // The daemon is on another machine.
            Err(error) if socket.is_some() && error.to_string().contains("mount") => {
                self.is_near.store(false, Ordering::Relaxed);
                (self.started(image, &name, host).await?, None)
            }
            started => (started?, socket),
        };
        let mut member = self.attached(name, image, container).await?;
        if let Some(socket) = socket
            && !member.connects_to(socket).await?
        {
            self.is_near.store(false, Ordering::Relaxed);
        }
        Ok(member)
    }

    async fn started(
        &self,
        image: &str,
        name: &str,
        host: HostConfig,
    ) -> Result<AgentContainer, EngineError> {
        let starting = self.starting.clone().read_owned().await;
        let (docker, labels) = (self.images.docker().clone(), self.labels.clone());
        let (of, name) = (image.to_owned(), name.to_owned());
        // In a task of its own, for who waits may be dropped: the daemon then makes the container all the same.
        let container = tokio::spawn(async move {
            let started = docker.start(&of, name, &labels, host).await;
            drop(starting);
            started
        });
        let container = container.await.map_err(|error| lost(image, &error))?;
        container.map_err(|error| match error {
            DockerError::NoImage { .. } => EngineError::Lost(error.to_string()),
            error => lost(image, &error),
        })
    }

    async fn attached(
        &self,
        name: String,
        image: &str,
        container: AgentContainer,
    ) -> Result<Member, EngineError> {
        let streams = self.images.docker().attach(&container).await;
        let streams = streams.map_err(|error| lost(image, &error))?;
        let output = streams
            .output
            .filter_map(|piece| future::ready(piece_of(piece)));
        let agent = AgentClient::new(
            format!("the container {name}"),
            streams.input,
            output.boxed(),
        );
        Ok(Member { container, agent })
    }
}

/// What every container may and may not.
fn confined() -> HostConfig {
    HostConfig {
        readonly_rootfs: Some(true),
        mounts: Some(vec![Mount {
            target: Some("/run".to_owned()),
            typ: Some(MountType::TMPFS),
            ..Mount::default()
        }]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(vec!["NET_ADMIN".to_owned(), "NET_RAW".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        // What the agent prints is a protocol, not a log.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        ..HostConfig::default()
    }
}

/// `host`, with the directory in which the agent finds its socket.
fn with_socket(host: &HostConfig, socket: Option<&AgentSocket>) -> HostConfig {
    let mut host = host.clone();
    if let Some(socket) = socket {
        let mount = Mount {
            target: Some(SHARED_DIRECTORY.to_owned()),
            source: Some(socket.directory().to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        };
        host.mounts.get_or_insert_default().push(mount);
    }
    host
}

/// An image's name needs the agent's digest.
fn unknown(error: RootsError) -> EngineError {
    EngineError::Lost(error.to_string())
}

fn lost(image: &str, error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Lost(format!("cannot start a container of {image}: {error}"))
}

fn piece_of(piece: Result<LogOutput, bollard::errors::Error>) -> Option<std::io::Result<Piece>> {
    match piece {
        Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
            Some(Ok(Piece::Out(message)))
        }
        Ok(LogOutput::StdErr { message }) => Some(Ok(Piece::Err(message))),
        Ok(LogOutput::StdIn { .. }) => None,
        Err(error) => Some(Err(std::io::Error::other(error))),
    }
}

/// No network at all.
fn alone(host: &mut HostConfig, sysctls: &[(&str, &str)]) {
    host.network_mode = Some("none".to_owned());
    let sysctls = SYSCTLS.iter().chain(sysctls);
    let owned = sysctls.map(|&(key, value)| (key.to_owned(), value.to_owned()));
    host.sysctls = Some(owned.collect());
}

impl Engine for DockerEngine {
    fn name(&self) -> String {
        format!("docker {}", self.images.docker().version())
    }

    fn open<'a>(&'a self, spec: &'a LaneSpec) -> BoxFuture<'a, Result<Box<dyn Lane>, EngineError>> {
        self.open_lane(spec).boxed()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.starting.write().map(drop).boxed()
    }
}

/// A container and its agent.
struct Member {
    container: AgentContainer,
    agent: AgentClient,
}

impl Member {
    /// Whether its agent connects to the socket, and is spoken to there from now on.
    async fn connects_to(&mut self, listening: AgentSocket) -> Result<bool, EngineError> {
        let socket = AgentSocket::path_in(SHARED_DIRECTORY);
        match self.agent.ask(&Request::Connect { socket }).await? {
            Reply::Done => {
                let stream = listening.accept().await.map_err(|error| {
                    EngineError::Fault(format!("an agent that connected is not there: {error}"))
                })?;
                self.agent.carry_by(stream);
                Ok(true)
            }
            // Its streams carry everything.
            Reply::Failed { .. } => Ok(false),
            other => Err(EngineError::Fault(format!(
                "an agent that was to connect answered {other:?}"
            ))),
        }
    }

    /// The network namespace that its agent is in, if that is this program.
    async fn namespace(&mut self) -> Result<u64, EngineError> {
        match self.agent.ask(&Request::Hello).await? {
            Reply::Hello { netns, version, .. } if version == env!("CARGO_PKG_VERSION") => {
                Ok(netns)
            }
            other => Err(EngineError::Fault(format!(
                "an agent greeted with {other:?}"
            ))),
        }
    }

    async fn prepare(&mut self, spec: &LaneSpec, legacy: bool) -> Result<(), EngineError> {
        match self.agent.ask(&Request::Prepare { legacy }).await? {
            Reply::Done => Ok(()),
            other => Err(EngineError::Lost(format!(
                "a {} lane cannot be made ready: {other:?}",
                spec.kind
            ))),
        }
    }
}

struct DockerLane {
    holder: Member,
    places: BTreeMap<BuildId, usize>,
    containers: Vec<Member>,
    /// The containers in which a command may stay. Agents do not reach each other's.
    keeping: BTreeSet<usize>,
    far: BTreeMap<Namespace, Member>,
}

impl DockerLane {
    /// Makes sure that every agent is this program's, that all are in one namespace but those that are to be in one of
    /// their own, and makes that ready.
    async fn greet(&mut self, spec: &LaneSpec) -> Result<(), EngineError> {
        let own = self.holder.namespace().await?;
        let mut namespaces = vec![own];
        for member in &mut self.containers {
            namespaces.push(member.namespace().await?);
        }
        if namespaces.iter().any(|namespace| *namespace != own) {
            return Err(EngineError::Fault(format!(
                "lane {} lies in several namespaces: {namespaces:?}",
                spec.number
            )));
        }
        let mut known = BTreeSet::from([own]);
        for (name, member) in &mut self.far {
            if !known.insert(member.namespace().await?) {
                return Err(EngineError::Fault(format!(
                    "the {name} of lane {} has no namespace of its own",
                    spec.number
                )));
            }
        }
        for member in self.far.values_mut() {
            member.prepare(spec, false).await?;
        }
        let legacy = spec.kind.has_legacy();
        self.holder.prepare(spec, legacy).await
    }

    /// Ends the commands that stay, in whichever container.
    async fn end_kept(&mut self) -> Result<(), EngineError> {
        for place in std::mem::take(&mut self.keeping) {
            let Some(member) = self.containers.get_mut(place) else {
                continue;
            };
            match member.agent.ask(&Request::EndKept).await? {
                Reply::Done => {}
                other => {
                    let fault = format!("an agent was to end what stays, and answered {other:?}");
                    return Err(EngineError::Fault(fault));
                }
            }
        }
        Ok(())
    }

    async fn remove(self) {
        let members = self.containers.into_iter().chain(self.far.into_values());
        let members = members.chain([self.holder]);
        future::join_all(members.map(|member| member.container.remove())).await;
    }
}

impl Lane for DockerLane {
    fn ask<'a>(
        &'a mut self,
        place: &'a Place,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, EngineError>> {
        async move {
            if request.ends_kept() {
                self.end_kept().await?;
            }
            if let (true, Place::Build(build)) = (request.keeps(), place) {
                self.keeping.extend(self.places.get(build));
            }
            let agent = match place {
                Place::Holder => &mut self.holder.agent,
                Place::Far(namespace) => {
                    let member = self.far.get_mut(namespace).ok_or_else(|| {
                        EngineError::Fault(format!("this lane has no {namespace}"))
                    })?;
                    &mut member.agent
                }
                Place::Build(build) => {
                    let member = self
                        .places
                        .get(build)
                        .and_then(|&place| self.containers.get_mut(place));
                    let member = member.ok_or_else(|| {
                        EngineError::Fault(format!("{build} is not in this lane"))
                    })?;
                    &mut member.agent
                }
            };
            agent.ask(request).await
        }
        .boxed()
    }

    fn namespaces(&self) -> Vec<Namespace> {
        let far = self.far.keys().copied();
        std::iter::once(Namespace::Lane).chain(far).collect()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.remove().boxed()
    }
}
