//! What a lane's rules and packets need around them: interfaces to other namespaces, addresses, routes, sets, and
//! packets that are sent and looked for in every namespace. Several agents take part.

use super::{EngineError, Lane};
use crate::scenario::{Namespace, Outcome, Probe, Setup};

/// Removes what an earlier scenario needed and makes what `setup` says; what the kernel lacks for it, in its own words,
/// is the inner error.
pub async fn furnish(
    _lane: &mut dyn Lane,
    setup: &Setup,
) -> Result<Result<(), String>, EngineError> {
    if *setup == Setup::default() {
        return Ok(Ok(()));
    }
    Err(EngineError::Fault(
        "a lane cannot be furnished yet".to_owned(),
    ))
}

/// Sends every one of `probes` from its namespace and says what became of each, in their order.
pub async fn probe(
    _lane: &mut dyn Lane,
    _probes: &[(Namespace, Probe)],
) -> Result<Vec<Outcome>, EngineError> {
    Err(EngineError::Fault("packets cannot be sent yet".to_owned()))
}
