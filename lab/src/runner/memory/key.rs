//! Ids by content, and the key of a burst: what it is, whoever asks for it.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use super::{Surroundings, World};
use crate::catalog::{Build, BuildId, Digest};
use crate::engine::EngineError;
use crate::observed::{ChainName, RulePlace, StateId, Text, digest};
use crate::plan::LaneKind;
use crate::plan::step::{Action, Burst, Role, Step};
use crate::scenario::{Namespace, Probe, Setup};
use crate::tool::Through;
use crate::tool::iptables::heeded;

/// Something by its content: the sha256 of its JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id([u8; 32]);

impl Id {
    /// The id of `what`.
    ///
    /// # Errors
    /// It has no JSON form: a fault of the lab.
    pub fn of(what: &impl Serialize) -> Result<Id, EngineError> {
        let digest = digest(what);
        digest
            .map(Id)
            .map_err(|error| EngineError::Fault(format!("something has no id: {error}")))
    }

    /// Its bytes.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The id that has these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Id {
        Id(bytes)
    }
}

impl From<StateId> for Id {
    fn from(state: StateId) -> Self {
        Id(state.bytes())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(from)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.as_bytes(), &mut bytes).map_err(de::Error::custom)?;
        Ok(Id(bytes))
    }
}

/// What a burst is, whoever asks for it and in whichever part of a procedure.
#[derive(Serialize)]
struct Key<'b> {
    setup: Id,
    state: Option<Id>,
    sent: Option<Id>,
    until_failure: bool,
    actions: Vec<Asks<'b>>,
}

/// A step without what it is for.
#[derive(Serialize)]
enum Asks<'b> {
    Command {
        build: &'b Digest,
        argv: &'b [String],
        stdin: Option<Id>,
        #[serde(skip_serializing_if = "Option::is_none")]
        handle_of: Option<&'b RulePlace>,
        #[serde(skip_serializing_if = "Option::is_none")]
        stays: Option<&'b Through>,
    },
    Dump,
    DumpChain(&'b ChainName),
    Reset,
    Probe(&'b [(Namespace, Probe)]),
}

/// The ids of texts that commands read, by where these are in memory: a print is restored for each writer that came to its state.
#[derive(Default)]
pub struct ReadTexts {
    known: HashMap<usize, (Text, Id)>,
    /// The bytes of all of them.
    bytes: usize,
}

impl ReadTexts {
    /// How many bytes are kept; then all are forgotten.
    const MOST: usize = 8 << 20;

    /// The id of what a restore heeds of a text.
    fn id(&mut self, text: &Text) -> Id {
        let place = text.place();
        if let Some((_, id)) = self.known.get(&place) {
            return *id;
        }
        let id = Id(Sha256::digest(heeded(text.bytes())).into());
        if self.bytes > Self::MOST {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += text.bytes().len();
        self.known.insert(place, (text.clone(), id));
        id
    }
}

/// The key of a burst that is done in `world`.
///
/// # Errors
/// A step of a build that is not among `builds`, or one that is no part of a burst: a fault of the lab.
pub fn key(
    burst: &Burst,
    around: Surroundings,
    world: Option<World>,
    (builds, texts): (&HashMap<BuildId, Build>, &mut ReadTexts),
) -> Result<Id, EngineError> {
    let begins_empty = begins_empty(burst);
    let state = match begins_empty {
        true => Some(around.empty),
        false => world.map(|world| world.state),
    };
    if state.is_none() {
        let steps = burst.steps.first().map(Step::to_string);
        let first = steps.unwrap_or_default();
        let fault = format!("nobody knows what the kernel holds, and {first} is asked for");
        return Err(EngineError::Fault(fault));
    }
    let asks = burst.steps.iter().map(|step| match &step.action {
        Action::Command {
            build,
            argv,
            stdin,
            handle_of,
            stays,
        } => {
            let known = builds.get(build).ok_or_else(|| {
                EngineError::Fault(format!("{build} is asked for, and is none of the run's"))
            })?;
            Ok(Asks::Command {
                build: &known.digest,
                argv,
                stdin: stdin.as_ref().map(|text| texts.id(text)),
                handle_of: handle_of.as_ref(),
                stays: stays.as_ref(),
            })
        }
        Action::Dump => Ok(Asks::Dump),
        Action::DumpChain(chain) => Ok(Asks::DumpChain(chain)),
        Action::Reset => Ok(Asks::Reset),
        Action::Probe(packets) => Ok(Asks::Probe(packets)),
        Action::Furnish(_) => Err(EngineError::Fault(
            "surroundings are made in the middle of a burst".to_owned(),
        )),
    });
    Id::of(&Key {
        setup: around.setup,
        state,
        sent: world.filter(|_| counts(burst)).and_then(|world| world.sent),
        until_failure: burst.until_failure,
        actions: asks.collect::<Result<_, EngineError>>()?,
    })
}

/// The key of surroundings that are made in a lane.
///
/// # Errors
/// As [`Id::of`].
pub fn furnish_key(setup: &Setup, kind: LaneKind) -> Result<Id, EngineError> {
    Id::of(&(setup, kind))
}

/// Whether a burst empties the lane first.
pub fn begins_empty(burst: &Burst) -> bool {
    matches!(burst.steps.first(), Some(step) if step.action == Action::Reset)
}

/// Whether a burst asks which rules packets have met.
pub fn counts(burst: &Burst) -> bool {
    burst.steps.iter().any(|step| step.role == Role::Count)
}
