//! Which builds may live side by side with these rules.

use super::change::{Change, least_change};
use super::member::Member;
use super::pair::{Found, Pair, Safety, pair};
use super::products::Products;
use super::published::Published;

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice<'a> {
    /// Every writer with every other reader.
    pub pairs: Vec<Pair<'a>>,
    /// The least change that makes all pairs of one backend safe; none where none is known, or none is needed.
    pub change: Option<Change>,
    /// Whose iptables nothing is known of.
    pub left_out: Vec<String>,
}

impl Advice<'_> {
    /// The worst of all pairs. What nothing is known of was not tested.
    pub fn safety(&self) -> Safety {
        let unknown = match self.left_out.is_empty() {
            true => Safety::Safe,
            false => Safety::SafeAsTested,
        };
        let pairs = self.pairs.iter().map(|pair| pair.safety);
        pairs.max().map_or(unknown, |worst| worst.max(unknown))
    }

    /// The gravest harm, and in which pair it is done.
    pub fn worst(&self) -> Option<(&Pair<'_>, &Found<'_>)> {
        let all = self.pairs.iter();
        let all = all.flat_map(|pair| pair.harms.iter().map(move |found| (pair, found)));
        all.reduce(
            |worst, next| match next.1.harm.gravity() > worst.1.harm.gravity() {
                true => next,
                false => worst,
            },
        )
    }
}

/// What `published` says of `members`, in the scenarios that `is_asked` names.
pub fn advise<'a>(
    published: &'a Published,
    products: &Products,
    members: &[Member],
    is_asked: impl Fn(&str) -> bool + Copy,
) -> Advice<'a> {
    let places = 0..members.len();
    let pairs = places
        .clone()
        .flat_map(|writer| places.clone().map(move |reader| (writer, reader)));
    let pairs = pairs.filter(|(writer, reader)| writer != reader);
    let pairs: Vec<Pair<'_>> = pairs
        .map(|(writer, reader)| Pair {
            writer,
            reader,
            ..pair(published, &members[writer], &members[reader], is_asked)
        })
        .collect();
    let is_harmed = pairs.iter().any(|pair| pair.safety == Safety::Unsafe);
    let change = is_harmed.then(|| least_change(published, products, members, &pairs, is_asked));
    Advice {
        pairs,
        change: change.flatten(),
        left_out: Vec::new(),
    }
}
