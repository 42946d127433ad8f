//! A list that holds each thing once.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

/// A list that holds each thing once, in the order in which they came.
pub struct Distinct<T> {
    all: Vec<Rc<T>>,
    places: HashMap<Rc<T>, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Self {
        Distinct {
            all: Vec::new(),
            places: HashMap::new(),
        }
    }
}

impl<T: Eq + Hash> Distinct<T> {
    /// The place of a thing; it is put last where it is not there yet.
    pub fn place(&mut self, thing: T) -> usize {
        if let Some(place) = self.places.get(&thing) {
            return *place;
        }
        let thing = Rc::new(thing);
        self.all.push(thing.clone());
        self.places.insert(thing, self.all.len() - 1);
        self.all.len() - 1
    }
}

impl<T> Distinct<T> {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(AsRef::as_ref)
    }
}
