//! What could not be had, remembered for a while.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::Store;
use super::error::{Remembered, StoreError};
use crate::catalog::names::Folder;
use crate::images::digest;

/// What the packages that a release is compiled with take, at least, in bytes.
const LITTLE_ROOM: u64 = 100_000_000;

/// How long a look-up that failed is remembered.
const MISS_LASTS: SignedDuration = SignedDuration::from_hours(1);

#[derive(Serialize, Deserialize)]
pub(super) struct Miss {
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

impl Store {
    /// Why `what` could not be had, if that was found out less than an hour ago.
    pub(in crate::images) fn miss(&self, what: &str) -> Option<Remembered> {
        let miss: Miss = self.read(&self.miss_path(what))?;
        let ago = Timestamp::now().duration_since(miss.at);
        (!ago.is_negative() && ago < MISS_LASTS).then_some(Remembered(miss.reason))
    }

    /// Remembers that `what` could not be had. Where the disk is full it can be had as soon as there is room; what apt or
    /// a compiler says then is often something else.
    pub(in crate::images) fn keep_miss(&self, what: &str, reason: &str) -> Result<(), StoreError> {
        if reason.contains(Errno::ENOSPC.desc()) || self.is_nearly_full() {
            return Ok(());
        }
        let miss = Miss {
            reason: reason.to_owned(),
            at: Timestamp::now(),
        };
        self.write_json(&self.miss_path(what), &miss)
    }

    /// Whether there is less room than a suite's packages take.
    pub(in crate::images) fn is_nearly_full(&self) -> bool {
        self.room().is_ok_and(|bytes| bytes < LITTLE_ROOM)
    }

    pub(super) fn miss_path(&self, what: &str) -> PathBuf {
        let name = digest::of_bytes(what.as_bytes());
        self.folder(Folder::Misses).join(name.as_str())
    }
}
