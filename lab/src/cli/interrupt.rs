//! Ctrl-C and SIGTERM: the first time the program ends in good order, the second time at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit::Exit;

/// What comes sooner after the first request is the same one: timeout(1) and some shells send it twice.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Whether the program was asked to stop. From the first listener on no request is lost, whatever is being done.
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system gives no signal handlers.
    pub fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
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
        Ok(Interrupt { asked })
    }

    /// Completes when the program is asked to stop, or was already.
    pub async fn asked(&self) {
        if self.asked.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending().await
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
