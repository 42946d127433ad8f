//! Whether someone asked the program to stop.

use tokio::sync::watch;

/// Whether the program was asked to stop, from when it began to listen on.
#[derive(Debug, Clone)]
pub struct Interrupt {
    asked: watch::Receiver<bool>,
}

impl Interrupt {
    /// What becomes true of `asked` is the request.
    pub fn new(asked: watch::Receiver<bool>) -> Self {
        Interrupt { asked }
    }

    /// Completes when the program is asked to stop, or was already.
    pub async fn asked(&self) {
        if self.asked.clone().wait_for(|asked| *asked).await.is_err() {
            std::future::pending().await
        }
    }
}
