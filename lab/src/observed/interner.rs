//! Equal values, in memory once.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::HashSet;

/// Values that many hold, each in memory once. It keeps them as long as it lives itself, or until [`Interner::forget_unused`]; whose
/// lifetime that is, its owner says.
#[derive(Debug)]
pub struct Interner<T: ?Sized> {
    values: HashSet<Arc<T>>,
    /// Where they are in memory: what comes from there is one of them, without a look at it.
    places: HashSet<usize>,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Interner {
            values: HashSet::default(),
            places: HashSet::default(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// The value that is equal to `value`, if there is one.
    pub fn get<Q: ?Sized + Eq + Hash>(&self, value: &Q) -> Option<&Arc<T>>
    where
        Arc<T>: Borrow<Q>,
    {
        self.values.get(value)
    }

    /// Puts the value that is equal to `value` in its place: `value` itself, where it is the first.
    pub fn share(&mut self, value: &mut Arc<T>) {
        if self.places.contains(&place(value)) {
            return;
        }
        match self.values.get(&**value) {
            Some(known) => *value = known.clone(),
            None => {
                self.places.insert(place(value));
                self.values.insert(value.clone());
            }
        }
    }

    /// Forgets what nobody else holds any more.
    pub fn forget_unused(&mut self) {
        let places = &mut self.places;
        self.values.retain(|value| {
            let is_used = Arc::strong_count(value) > 1;
            if !is_used {
                places.remove(&place(value));
            }
            is_used
        });
    }
}

fn place<T: ?Sized>(value: &Arc<T>) -> usize {
    Arc::as_ptr(value).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_the_same_until_nobody_holds_it() {
        let mut texts = Interner::<str>::default();
        let [mut one, mut again, mut two] = ["one", "one", "two"].map(Arc::<str>::from);
        for text in [&mut one, &mut again, &mut two] {
            texts.share(text);
        }
        assert!(Arc::ptr_eq(&one, &again));
        assert_eq!(*two, *"two");
        drop(two);
        texts.forget_unused();
        assert!(texts.get("one").is_some_and(|of| Arc::ptr_eq(of, &one)));
        assert!(texts.get("two").is_none());
    }
}
