//! Ctrl-C and SIGTERM: the first time the program ends in good order, the second time at once.

use std::io;
use std::time::Duration;

use miette::miette;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;
use crate::experiment::{Failure, Interrupt, OrFailure};

/// What comes sooner after the first request is the same one: timeout(1) and some shells send it twice.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Begins to listen. From then on no request is lost, whatever is being done.
///
/// # Errors
/// The system gives no signal handlers.
pub fn listen() -> Result<Interrupt, Failure> {
    let handlers = || {
        Ok((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    };
    let handlers: io::Result<(Signal, Signal)> = handlers();
    let (mut interrupt, mut terminate) = handlers
        .map_err(|error| miette!("cannot listen for signals: {error}"))
        .or_lacks()?;
    let (sender, asked) = watch::channel(false);
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        sender.send_replace(true);
        let repeated = async {
            loop {
                either(&mut interrupt, &mut terminate).await;
            }
        };
        let _ = tokio::time::timeout(SAME_REQUEST, repeated).await;
        either(&mut interrupt, &mut terminate).await;
        // Taking down hangs, perhaps because the daemon does: what is left is removed by the next start.
        std::process::exit(Exit::Interrupted.status().into());
    });
    Ok(Interrupt::new(asked))
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
