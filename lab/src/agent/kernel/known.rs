//! What the kernel sent before: most rules of most readings were there in the one before, byte by byte, and need not be
//! decoded anew.

use std::sync::Arc;

use foldhash::HashMap;

/// So many rules are known at most; then all are forgotten. The largest rulesets of clusters have some ten thousand.
const MOST: usize = 1 << 15;

/// What each piece of what the kernel sent came to.
#[derive(Debug)]
pub(super) struct Known<T: ?Sized>(HashMap<Box<[u8]>, Arc<T>>);

impl<T: ?Sized> Default for Known<T> {
    fn default() -> Self {
        Known(HashMap::default())
    }
}

impl<T: ?Sized> Known<T> {
    /// What `sent` came to before.
    pub(super) fn get(&self, sent: &[u8]) -> Option<Arc<T>> {
        self.0.get(sent).cloned()
    }

    /// Keeps what `sent` comes to, which must depend on nothing else, and gives it back.
    pub(super) fn keep(&mut self, sent: &[u8], decoded: Arc<T>) -> Arc<T> {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(sent.into(), decoded.clone());
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_the_most() {
        let mut known = Known::default();
        for number in 0..=MOST {
            let sent = number.to_ne_bytes();
            assert_eq!(known.get(&sent), None);
            assert_eq!(*known.keep(&sent, Arc::new(number)), number);
            assert_eq!(known.get(&sent).as_deref(), Some(&number));
        }
        assert_eq!(known.get(&0usize.to_ne_bytes()), None);
    }
}
