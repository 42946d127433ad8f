//! What is known by its content.

use std::io;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The sha256 of the JSON form of `what`, which is hashed as it is made.
///
/// # Errors
/// It has no JSON form.
pub fn digest(what: &impl Serialize) -> Result<[u8; 32], serde_json::Error> {
    struct Hashing(Sha256);

    impl io::Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut hashing = Hashing(Sha256::new());
    serde_json::to_writer(&mut hashing, what)?;
    Ok(hashing.0.finalize().into())
}
