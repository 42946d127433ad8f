//! What the kernel sent before: most rules of most readings were there in the one before, byte by byte, and need not be
//! decoded anew.

use std::sync::Arc;

use foldhash::HashMap;

/// So many rules are kept at most; then all are forgotten. The largest rulesets of clusters have some ten thousand.
const MOST: usize = 1 << 15;

/// Rules that were decoded, by the bytes that the kernel sent of them. They are kept as long as their reader: that of an agent, in one
/// place of one lane.
#[derive(Debug)]
pub(super) struct DecodedRules<T: ?Sized>(HashMap<Box<[u8]>, Arc<T>>);

impl<T: ?Sized> Default for DecodedRules<T> {
    fn default() -> Self {
        DecodedRules(HashMap::default())
    }
}

impl<T: ?Sized> DecodedRules<T> {
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
        let mut decoded = DecodedRules::default();
        for number in 0..=MOST {
            let sent = number.to_ne_bytes();
            assert_eq!(decoded.get(&sent), None);
            assert_eq!(*decoded.keep(&sent, Arc::new(number)), number);
            assert_eq!(decoded.get(&sent).as_deref(), Some(&number));
        }
        assert_eq!(decoded.get(&0usize.to_ne_bytes()), None);
    }
}
