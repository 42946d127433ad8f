//! Who is not root.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

use super::lane::usual_store;

/// An ordinary user, and what the lab needs to be one: a program, and a store of its own.
pub struct User {
    folder: tempfile::TempDir,
}

impl User {
    const NOBODY: u32 = 65534;

    /// One whose store has the builds that were made.
    pub fn new() -> User {
        // Where everybody may look, which a home directory need not be.
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let public = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), public).unwrap();
        let usual = usual_store();
        for kind in [
            "tarballs", "packages", "sets", "builds", "digests", "misses",
        ] {
            copy(&usual.join(kind), &folder.path().join("store").join(kind));
        }
        fs::copy(
            env!("CARGO_BIN_EXE_iptables-lab"),
            folder.path().join("lab"),
        )
        .unwrap();
        let user = User { folder };
        user.owns_everything();
        user
    }

    /// Gives the user what somebody else has put there.
    pub fn owns_everything(&self) {
        if geteuid().is_root() {
            let owned = Command::new("chown")
                .args(["-R", &User::NOBODY.to_string()])
                .arg(self.folder.path())
                .status();
            assert!(owned.unwrap().success());
        }
    }

    /// A file of its own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, run by this user.
    pub fn lab(&self) -> Command {
        let mut command = self.lab_of_root();
        become_nobody(&mut command);
        command
    }

    /// The same after root has done something in the process that is to become it.
    pub fn lab_after(&self, first: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Command {
        let mut command = self.lab_of_root();
        // SAFETY: what is done between fork and exec are system calls.
        unsafe { command.pre_exec(first) };
        become_nobody(&mut command);
        command
    }

    /// The program on this user's store, with the rights that the tests have.
    pub fn lab_of_root(&self) -> Command {
        let mut command = Command::new(self.path("lab"));
        command
            .arg("--store")
            .arg(self.path("store"))
            .env_remove("IPTABLES_LAB_BUILDS")
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.folder.path());
        command
    }
}

/// Gives up root's rights last: what is done before takes them.
fn become_nobody(command: &mut Command) {
    if !geteuid().is_root() {
        return;
    }
    let give_up = || {
        setgroups(&[])?;
        setgid(Gid::from_raw(User::NOBODY))?;
        Ok(setuid(Uid::from_raw(User::NOBODY))?)
    };
    // SAFETY: between fork and exec it makes system calls alone.
    unsafe { command.pre_exec(give_up) };
}

/// Copies a folder of files and folders.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            // Another test's run may just have taken it away.
            false => drop(fs::copy(entry.path(), to)),
        }
    }
}
