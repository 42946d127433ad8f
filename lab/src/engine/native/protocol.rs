//! What the lab says to the first process of a native lane: what the lane is to hold, and then whom each request is for.
//! The replies are an agent's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::protocol::Request;
use crate::catalog::BuildId;
use crate::engine::Place;
use crate::scenario::Namespace;

/// The first line: what the lane is to hold. It is answered as a greeting is, or with what the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// A directory that the lane's roots are put together over.
    pub(super) stage: PathBuf,
    /// The root filesystems, each unpacked.
    pub(super) roots: Vec<PathBuf>,
    /// Which root each build is in.
    pub(super) builds: BTreeMap<BuildId, usize>,
    /// The namespaces beside its own.
    pub(super) far: BTreeSet<Namespace>,
    /// Whether legacy builds run in it.
    pub(super) legacy: bool,
}

/// Every other line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked<P, R> {
    /// Who is asked.
    pub(super) place: P,
    /// For what.
    pub(super) request: R,
}

/// As it is read.
pub(super) type AskedOf = Asked<Place, Request>;
