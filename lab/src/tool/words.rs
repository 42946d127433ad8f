//! The words of a rule.

use std::fmt;

use smallvec::SmallVec;

/// The words of a rule, in one piece of memory: large rulesets are mostly words.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Words {
    /// One after the other.
    text: Box<str>,
    /// Where each ends.
    ends: Box<[usize]>,
}

impl Words {
    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let word = &self.text[start..end];
            start = end;
            word
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Each by itself, to look at.
    pub fn to_vec(&self) -> Vec<&str> {
        self.iter().collect()
    }

    /// Each by itself, to keep.
    pub fn to_strings(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Words {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        // Most rules have fewer. Of as many as there are, each piece of memory is asked for once.
        let words: SmallVec<[S; 24]> = words.into_iter().collect();
        let length = words.iter().map(|word| word.as_ref().len()).sum();
        let mut text = String::with_capacity(length);
        let mut ends = Vec::with_capacity(words.len());
        for word in words {
            text.push_str(word.as_ref());
            ends.push(text.len());
        }
        Words {
            text: text.into(),
            ends: ends.into(),
        }
    }
}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_words_are_the_same(list in prop::collection::vec("[ -~äß]{0,8}", 0..6)) {
            let packed: Words = list.iter().collect();
            prop_assert_eq!(packed.to_strings(), list.clone());
            prop_assert_eq!(packed.len(), list.len());
        }
    }
}
