//! Where steps run: an engine opens lanes, a lane runs steps.

mod chosen;
pub mod client;
pub mod docker;
pub mod native;
mod socket;
pub mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::agent::protocol::{Reply, Request};
use crate::catalog::{Backend, BuildId};
use crate::plan::LaneKind;
use crate::scenario::Namespace;

pub use chosen::Chosen;

/// Who answers a request in a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The agent that runs this build's commands.
    Build(BuildId),
    /// The agent that holds the namespace: it dumps and resets.
    Holder,
    /// The agent of another namespace, which the lane's interfaces lead to.
    Far(Namespace),
}

/// What every namespace has that no scenario asks for: IPv6 switched on, which engines up to 20.10 switch off in
/// namespaces without network; no packet dropped for the way it came (the host's own setting is inherited, and the
/// stricter of this and the interface's counts); every ICMP error sent, however many there were before; and nothing sent
/// that nobody asked for, at a time of its own: no router solicitations, no reports of the multicast group that a bridge is in
/// (224.0.0.106), and of IPv6's groups one report, at once, as MLDv1 has it, and no second one for eleven days.
const SYSCTLS: &[(&str, &str)] = &[
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv6.conf.default.disable_ipv6", "0"),
    ("net.ipv6.conf.lo.disable_ipv6", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.icmp_ratemask", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    ("net.ipv4.igmp_link_local_mcast_reports", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv6.conf.all.force_mld_version", "1"),
    (
        "net.ipv6.conf.default.mldv1_unsolicited_report_interval",
        "1000000000",
    ),
];

/// What a lane has besides: packets are forwarded.
const FORWARDING: &[(&str, &str)] = &[
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    ("net.ipv6.conf.default.forwarding", "1"),
];

/// What a lane is to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSpec {
    /// Its number within the run, from 1.
    pub number: usize,
    /// Which backends run in it.
    pub kind: LaneKind,
    /// The builds joined to it.
    pub builds: BTreeSet<BuildId>,
    /// The namespaces beside its own that its scenarios have interfaces to.
    pub far: BTreeSet<Namespace>,
}

/// Why an engine or a lane cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The machine lacks what it takes, or lost it on the way: a container died, the daemon went away.
    #[error("{0}")]
    Lost(String),
    /// The system refuses what a lane takes.
    #[error("{what}: {mend}")]
    Refused {
        /// What it refuses, with its own answer.
        what: String,
        /// The command that mends it, or what to do.
        mend: String,
    },
    /// The agent did what it must not: a fault of the lab.
    #[error("{0}")]
    Fault(String),
}

/// Opens lanes.
pub trait Engine: Send + Sync {
    /// The engine and its version, as reports name it: `docker 20.10.24`.
    fn name(&self) -> String;

    /// What builds find otherwise here than they would as root of a machine; a sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The matches and targets that the kernel takes of root alone, where this engine's builds are not it.
    fn of_root(&self) -> &'static [&'static str] {
        &[]
    }

    /// How many lanes of each kind are worth it for each core: they wait for the kernel's grace period much of the time, and each has to
    /// be opened.
    fn lanes_a_core(&self) -> usize {
        1
    }

    /// Opens a lane: a network namespace, and every build of the spec joined to it.
    fn open<'a>(&'a self, spec: &'a LaneSpec) -> BoxFuture<'a, Result<Box<dyn Lane>, EngineError>>;

    /// Completes when nothing is being started any more. A lane that was dropped while it was opened may have asked
    /// for something that is not there yet, and could not be found by who removes it.
    fn settled(&self) -> BoxFuture<'_, ()>;
}

/// One network namespace with its builds, and the namespaces that it has interfaces to.
pub trait Lane: Send {
    /// Has an agent of the lane answer `request`.
    fn ask<'a>(
        &'a mut self,
        place: &'a Place,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, EngineError>>;

    /// Its namespaces, its own first.
    fn namespaces(&self) -> Vec<Namespace>;

    /// Takes the lane down.
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// Why no build of a backend can run on this engine's kernel, of those that cannot: asked of a lane without builds, in
/// which every legacy table that the kernel has is there.
///
/// # Errors
/// The lane cannot be opened, or its agent fails.
pub async fn lacking(engine: &dyn Engine) -> Result<BTreeMap<Backend, &'static str>, EngineError> {
    let nothing = LaneSpec {
        number: 0,
        kind: LaneKind::Legacy,
        builds: BTreeSet::new(),
        far: BTreeSet::new(),
    };
    let mut lane = engine.open(&nothing).await?;
    let reply = lane.ask(&Place::Holder, &Request::Backends).await;
    lane.close().await;
    let there = match reply? {
        Reply::Backends { there } => there,
        other => {
            let fault = format!("an agent answered with {other:?}");
            return Err(EngineError::Fault(fault));
        }
    };
    let reasons = [
        (
            Backend::Nft,
            "this kernel has no nf_tables (CONFIG_NF_TABLES, or its module nf_tables)",
        ),
        (
            Backend::Legacy,
            "this kernel has no legacy tables (CONFIG_IP_NF_IPTABLES_LEGACY, or its module ip_tables)",
        ),
    ];
    let lacking = reasons.into_iter().filter(|(of, _)| !there.contains(of));
    Ok(lacking.collect())
}
