//! What the loss of a part does to the set of packets that a rule matches.

use super::extensions;
use super::tokens::split;
use crate::tool::change::{Change, Weight};

/// What the loss of a part does to the set of packets that a rule matches.
pub fn weight(lost: &Change) -> Weight {
    let text = lost.from.as_deref().unwrap_or_default();
    match lost.part.as_str() {
        "source" | "destination" | "protocol" if matches_everything(text) => Weight::Neutral,
        "source" | "destination" | "protocol" | "in-interface" | "out-interface" | "fragment" => {
            Weight::Condition
        }
        "match comment" | "comment --comment" | "counters" => Weight::Neutral,
        part => match part.split_once(' ') {
            Some(("match", name)) if is_bare_protocol_match(name, text) => Weight::Neutral,
            Some(("match", _)) => Weight::Condition,
            Some((name, option)) if extensions::is_condition(name, option) => Weight::Condition,
            _ => Weight::Other,
        },
    }
}

/// `-s 0.0.0.0/0`, `-p all`.
fn matches_everything(text: &str) -> bool {
    let value = text.rsplit(' ').next().unwrap_or_default();
    !text.starts_with('!') && matches!(value, "0.0.0.0/0" | "::/0" | "0/0" | "all" | "0")
}

/// `-m tcp` without options beside `-p tcp`.
fn is_bare_protocol_match(name: &str, text: &str) -> bool {
    let words = split(text).map_or(0, |words| words.len());
    extensions::of_protocol(name).is_some() && words == 2
}
