//! Parts of rules as they are typed, and what becomes of them: `drops `-m mark` and changes `-s``.

use crate::report::terminal::inert;

/// A part of a rule by its name, as it is typed: `-m mark` of `match mark`.
pub fn option(part: &str) -> String {
    match part {
        "source" => "-s".to_owned(),
        "destination" => "-d".to_owned(),
        "protocol" => "-p".to_owned(),
        "in-interface" => "-i".to_owned(),
        "out-interface" => "-o".to_owned(),
        name => match name.split_once(' ') {
            Some(("match", of)) => format!("-m {of}"),
            Some(("target", of)) => format!("-j {of}"),
            _ => name.to_owned(),
        },
    }
}

/// Parts of a rule that is another one afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Those that are gone, by name.
    pub lost: &'a [String],
    /// Those that have another value.
    pub altered: &'a [String],
    /// Those that were not there.
    pub added: &'a [String],
}

impl Parts<'_> {
    /// What a program does to them: `drops `-m mark``; none where it is no part.
    pub fn done(self) -> Option<String> {
        self.said(["drops", "changes", "adds"])
    }

    /// What the rule is then like: `without `-m mark``.
    pub fn left(self) -> Option<String> {
        self.said(["without", "with another", "with an added"])
    }

    /// What happens to the rule: `loses `-m mark``.
    pub fn suffered(self) -> Option<String> {
        self.said(["loses", "gets another", "gets an added"])
    }

    fn said(self, [lost, altered, added]: [&str; 3]) -> Option<String> {
        let all = [
            (lost, self.lost),
            (altered, self.altered),
            (added, self.added),
        ];
        let said = all.iter().filter(|(_, parts)| !parts.is_empty());
        let said: Vec<String> = said
            .map(|(verb, parts)| format!("{verb} {}", listed(parts)))
            .collect();
        match said.as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
        }
    }
}

fn listed(parts: &[String]) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| format!("`{}`", inert(&option(part))))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[rstest]
    #[case::lost(&["match mark"], &[], Some("drops `-m mark`"))]
    #[case::altered(&[], &["source", "destination"], Some("changes `-s`, `-d`"))]
    #[case::both(&["match udp"], &["protocol"], Some("drops `-m udp` and changes `-p`"))]
    #[case::no_part(&[], &[], None)]
    fn what_is_altered_is_not_called_lost(
        #[case] lost: &[&str],
        #[case] altered: &[&str],
        #[case] words: Option<&str>,
    ) {
        let parts = Parts {
            lost: &names(lost),
            altered: &names(altered),
            added: &[],
        };
        assert_eq!(parts.done().as_deref(), words);
    }
}
