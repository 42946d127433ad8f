//! What else decides what comes of a command: the kernel, its modules, what a lane may do, and how the lab reads the kernel.

use std::fs;
use std::path::Path;

use nix::sys::utsname::uname;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Grows when the lab reads other things from the kernel, or sends other packets for the same probe.
const READING: u32 = 2;

/// Where a kernel's modules lie that rules may need.
const MODULES: [&str; 4] = ["kernel/net", "kernel/drivers/net", "extra", "updates"];

/// A machine as far as what comes of a command depends on it. What was learnt on another one is not believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Release and build of the kernel.
    pub kernel: String,
    /// Its architecture.
    pub architecture: String,
    /// What lanes are made of: `docker`, `native`.
    pub engine: String,
    /// Whose namespaces they are: `root`, `user`.
    pub privilege: String,
    /// The sha256 of names, sizes and times of the modules that the kernel may load.
    pub modules: String,
    /// The version of the lab's reading.
    pub reading: u32,
}

impl Machine {
    /// This one, with lanes of `engine`.
    pub fn here(engine: &str) -> Machine {
        let (mut kernel, mut architecture) = (String::new(), String::new());
        let mut release = String::new();
        if let Ok(of) = uname() {
            let word = |of: &std::ffi::OsStr| of.to_string_lossy().into_owned();
            release = word(of.release());
            kernel = format!("{} {}", release, word(of.version()));
            architecture = word(of.machine());
        }
        let mut hash = Sha256::new();
        let modules = Path::new("/lib/modules").join(&release);
        for folder in MODULES {
            hash_folder(&mut hash, &modules.join(folder));
        }
        Machine {
            kernel,
            architecture,
            engine: engine.to_owned(),
            privilege: if geteuid().is_root() { "root" } else { "user" }.to_owned(),
            modules: hex::encode(hash.finalize()),
            reading: READING,
        }
    }

    /// The name of its folder.
    pub fn name(&self) -> String {
        let digest = Sha256::digest(self.to_json());
        hex::encode(&digest[..8])
    }

    /// As JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// Names, sizes and times of all files below `folder`, in order. What cannot be read is not there.
fn hash_folder(hash: &mut Sha256, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match fs::symlink_metadata(&path) {
            Ok(of) if of.is_dir() => hash_folder(hash, &path),
            Ok(of) => {
                let time = of.modified().ok();
                let time = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                let line = format!("{} {} {time:?}\n", path.display(), of.len());
                hash.update(line.as_bytes());
            }
            Err(_) => {}
        }
    }
}
