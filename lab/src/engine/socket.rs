//! A way past the daemon: a socket in a directory that a container shares with the lab.
//!
//! What goes over a container's streams passes through the daemon and the container's shim, there and back: for most
//! commands that costs more than they do. A daemon on another machine sees no directory of this one, and some systems let
//! no container touch a socket of the host: then the streams carry everything.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// The socket's name in its directory.
const SOCKET: &str = "agent";

/// How long an agent that says it connected may take to be there.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket that one agent is to connect to. It is gone, with its directory, as soon as that agent connected: no command that runs
/// later finds anything of the host there.
#[derive(Debug)]
pub struct AgentSocket {
    directory: PathBuf,
    listener: UnixListener,
}

impl AgentSocket {
    /// Opens one in `directory`, which is made. Nobody but this user and root comes to what is in its parent.
    ///
    /// # Errors
    /// The directory or the socket cannot be made.
    pub fn open(directory: &Path) -> io::Result<AgentSocket> {
        if let Some(parent) = directory.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)?;
        }
        fs::create_dir(directory)?;
        let path = directory.join(SOCKET);
        let listener = UnixListener::bind(&path).inspect_err(|_| {
            // The next start removes what this one cannot.
            let _ = fs::remove_dir(directory);
        })?;
        let socket = AgentSocket {
            directory: directory.to_owned(),
            listener,
        };
        // An agent is root without the right to pass over permissions.
        fs::set_permissions(&path, Permissions::from_mode(0o666))?;
        Ok(socket)
    }

    /// The directory that the container is to share.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The socket, for who shares the directory at `at`.
    pub fn path_in(at: &str) -> String {
        format!("{at}/{SOCKET}")
    }

    /// The stream of the agent that connected.
    ///
    /// # Errors
    /// None did.
    pub async fn accept(self) -> io::Result<UnixStream> {
        let (stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await??;
        Ok(stream)
    }
}

impl Drop for AgentSocket {
    fn drop(&mut self) {
        // The next start removes what this one cannot.
        let _ = fs::remove_file(self.directory.join(SOCKET));
        let _ = fs::remove_dir(&self.directory);
    }
}
