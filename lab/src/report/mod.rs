//! What people read: one file a format, all made from the matrix. A report never asks an engine.

pub mod advice;
pub mod builds;
pub mod causes;
pub mod compat;
pub mod diagnosis;
pub mod diagnosis_json;
pub mod difference;
pub mod dump;
pub mod evidence;
pub mod facts;
pub mod folded;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod hostile;
pub mod html;
pub mod inventory;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod memory;
pub mod pairing;
pub mod result;
pub mod scenarios;
pub mod screen;
pub mod show;
pub mod table;
pub mod terminal;
pub mod tone;
pub mod transcripts;
pub mod word_diff;
pub mod wording;

use crate::catalog::Missing;

/// The ids that share a reason, in the order in which reasons first appear.
fn by_reason<'a>(missing: impl IntoIterator<Item = &'a Missing>) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for build in missing {
        let id = build.id.as_str();
        let known = reasons
            .iter_mut()
            .find(|(reason, _)| *reason == build.reason);
        match known {
            Some((_, ids)) => ids.push(id),
            None => reasons.push((&build.reason, vec![id])),
        }
    }
    reasons
}
