//! Temporary folders that somebody else's programs may write to, and that go away whatever those have left in them.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

/// A folder that goes away when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// A new one in `folder`.
    pub(super) fn new_in(folder: &Path) -> io::Result<Scratch> {
        let folder = tempfile::tempdir_in(folder)?.keep();
        Ok(Scratch { folder })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is tried again by a later run.
        let _ = remove(&self.folder);
    }
}

/// Removes a folder with all that is in it, also where its folders lie deeper than the length of a path, descriptors or
/// the stack would lead, or may not be entered.
///
/// Every folder is brought up into a new one beside it, where it gets a number, and is emptied when its turn comes. Nobody
/// else knows that place, so that what lies there stays what it was found to be.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let beside = folder.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let place = tempfile::tempdir_in(beside)?.keep();
    let mut found = 0;
    bring_up(folder, &place, &mut found)?;
    let mut emptied = 0;
    while emptied < found {
        let of = place.join(emptied.to_string());
        let entries: Vec<fs::DirEntry> = fs::read_dir(&of)?.collect::<io::Result<_>>()?;
        for entry in entries {
            match entry.file_type()?.is_dir() {
                true => bring_up(&entry.path(), &place, &mut found)?,
                false => fs::remove_file(entry.path())?,
            }
        }
        fs::remove_dir(&of)?;
        emptied += 1;
    }
    fs::remove_dir(&place)
}

fn bring_up(folder: &Path, place: &Path, found: &mut usize) -> io::Result<()> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_DIRECTORY;
    let held = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(folder)?;
    // By its descriptor: under its name there may be a link by now.
    let name = format!("/proc/self/fd/{}", held.as_raw_fd());
    fs::set_permissions(name, Permissions::from_mode(0o700))?;
    let to = place.join(found.to_string());
    fs::rename(folder, &to)?;
    if !fs::symlink_metadata(&to)?.is_dir() {
        let message = format!("{} was a folder a moment ago", folder.display());
        return Err(io::Error::other(message));
    }
    *found += 1;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::{Mode, fchmod, mkdirat};
    use nix::unistd::mkdir;
    use std::fs::File;
    use std::os::fd::OwnedFd;

    /// As a program does that wants to be a nuisance: no path leads to the last of these folders.
    fn dig(top: &Path, depth: usize) {
        let mut at: OwnedFd = File::open(top).unwrap().into();
        for _ in 0..depth {
            mkdirat(&at, "deep", Mode::S_IRWXU).unwrap();
            at = openat(&at, "deep", OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        }
        fchmod(&at, Mode::empty()).unwrap();
    }

    #[test]
    fn what_lies_deeper_than_a_path_leads_goes_and_what_links_lead_to_stays() {
        let parent = tempfile::tempdir().unwrap();
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        let scratch = Scratch::new_in(parent.path()).unwrap();
        std::os::unix::fs::symlink(&outside, scratch.path().join("link")).unwrap();
        nix::unistd::mkfifo(&scratch.path().join("fifo"), Mode::S_IRUSR).unwrap();
        mkdir(&scratch.path().join("shut"), Mode::empty()).unwrap();
        dig(scratch.path(), 20_000);
        drop(scratch);
        let left: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(outside.join("kept").exists());
    }
}
