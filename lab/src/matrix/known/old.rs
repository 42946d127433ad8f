//! Entries as files of known losses had them before parts and verdicts had fields: `loss` was what reports said of a loss.

use serde::Serialize;

use super::entry::Entry;
use crate::judge::verdict::Verdict;
use crate::plan::Operation;

/// What a loss was called whose parts were not told.
const WHOLE: &str = "the whole rule";

/// What was said behind a loss that only these operations show.
const OPERATIONS: [(&str, Operation); 2] = [
    (", by a component that adds its own chain", Operation::Sync),
    (
        ", by a component that restores its own chains with --noflush",
        Operation::SyncNoflush,
    ),
];

/// What was said of a loss that is none of parts.
const VERDICTS: [(&str, Verdict); 4] = [
    ("-C does not find it", Verdict::NotFound),
    ("-D does not delete it", Verdict::NotDeleted),
    ("-D deletes another rule", Verdict::WrongRule),
    ("written again under the other backend", Verdict::Doubled),
];

/// How what was said of a chain began.
const OF_CHAINS: [&str; 4] = ["the chain", "the policy", "it hangs", "the reader prints"];

/// What `loss` said.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    verdict: Option<Verdict>,
    operation: Option<Operation>,
    lost: Option<Vec<String>>,
    altered: Option<Vec<String>>,
    added: Option<Vec<String>>,
    said: Option<String>,
}

/// The form of the file.
#[derive(Serialize)]
struct File<'a> {
    known: [New<'a>; 1],
}

/// An entry in today's form.
#[derive(Serialize)]
struct New<'a> {
    scenario: &'a str,
    writers: &'a [String],
    readers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<Operation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    altered: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    said: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    rules: &'a [String],
    url: &'a str,
    reason: &'a str,
}

/// The entry in today's form, with a line's end. Where `loss` names no part whole, that is left to whoever knows which it meant.
pub(super) fn renewed(entry: &Entry) -> String {
    let loss = entry.loss.as_deref().unwrap_or_default();
    let told = told(loss);
    let unknown = match told {
        Some(_) => String::new(),
        None => format!("# name the parts that {loss:?} meant as lost, altered or added\n"),
    };
    let told = told.unwrap_or_default();
    let new = New {
        scenario: &entry.scenario,
        writers: &entry.writers,
        readers: &entry.readers,
        verdict: entry.verdict.or(told.verdict),
        operation: told.operation,
        lost: told.lost,
        altered: told.altered,
        added: told.added,
        said: told.said,
        rules: &entry.rules,
        url: &entry.url,
        reason: &entry.reason,
    };
    let text = toml::to_string(&File { known: [new] });
    unknown + &text.unwrap_or_else(|error| format!("# {error}\n"))
}

/// What `loss` said; none where it names no part whole.
fn told(loss: &str) -> Option<Told> {
    if loss == "*" {
        return Some(Told::default());
    }
    let no_parts = || Told {
        lost: Some(Vec::new()),
        ..Told::default()
    };
    if let Some((_, verdict)) = VERDICTS.iter().find(|(words, _)| *words == loss) {
        return Some(Told {
            verdict: Some(*verdict),
            ..no_parts()
        });
    }
    let near = loss.strip_prefix("-C finds it with another ");
    if let Some(part) = near.and_then(|rest| rest.strip_suffix(", too")) {
        let part = Some(part).filter(|part| *part != "value");
        return Some(Told {
            verdict: Some(Verdict::FoundWrong),
            said: Some(part.unwrap_or_default().to_owned()),
            ..no_parts()
        });
    }
    if let Some(rest) = loss.strip_prefix(WHOLE) {
        let (operation, said) = by_operation(rest);
        return Some(Told {
            operation,
            said: match said.as_str() {
                "*" => None,
                said => Some(unwrapped(said)?.to_owned()),
            },
            ..no_parts()
        });
    }
    let is_of_chain = OF_CHAINS.iter().any(|start| loss.starts_with(start))
        || loss.contains(" more rules than before");
    if is_of_chain {
        let (operation, said) = by_operation(loss);
        return Some(Told {
            operation,
            said: Some(said),
            ..no_parts()
        });
    }
    of_parts(loss)
}

/// What stands in brackets: ` (Bad argument)`. Nothing is nothing.
fn unwrapped(said: &str) -> Option<&str> {
    match said.is_empty() {
        true => Some(said),
        false => said.strip_prefix(" (")?.strip_suffix(')'),
    }
}

/// The operation that a text names, and the text without it.
fn by_operation(text: &str) -> (Option<Operation>, String) {
    let named = OPERATIONS
        .iter()
        .find_map(|(words, operation)| Some((*operation, text.split_once(words)?)));
    match named {
        Some((operation, (before, behind))) => (Some(operation), format!("{before}{behind}")),
        None => (None, text.to_owned()),
    }
}

/// `match mark, match udp lost; source altered`.
fn of_parts(loss: &str) -> Option<Told> {
    let mut told = Told::default();
    for clause in loss.split("; ") {
        let (names, how) = clause.rsplit_once(' ')?;
        let list = match how {
            "lost" => &mut told.lost,
            "altered" => &mut told.altered,
            "added" => &mut told.added,
            _ => return None,
        };
        *list = Some(names.split(", ").map(str::to_owned).collect());
    }
    Some(told)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::super::{Known, KnownError};

    fn entry(names: &str) -> String {
        format!(
            "[[known]]\nscenario = \"kube-*\"\nwriters = [\"1.8.9-nft\"]\nreaders = [\"*\"]\n{names}\
             url = \"https://example.org/1\"\nreason = \"no backport yet\"\n"
        )
    }

    #[rstest]
    #[case::part("match mark lost", "lost = [\"match mark\"]\n")]
    #[case::parts(
        "match mark, match udp lost; source altered",
        "lost = [\"match mark\", \"match udp\"]\naltered = [\"source\"]\n"
    )]
    #[case::glob("* altered", "altered = [\"*\"]\n")]
    #[case::anything("*", "")]
    #[case::check("-C does not find it", "verdict = \"not-found\"\nlost = []\n")]
    #[case::near_miss(
        "-C finds it with another out-interface, too",
        "verdict = \"found-wrong\"\nlost = []\nsaid = \"out-interface\"\n"
    )]
    #[case::whole(
        "the whole rule (Bad argument `-')",
        "lost = []\nsaid = \"Bad argument `-'\"\n"
    )]
    #[case::whole_of_an_operation(
        "the whole rule, by a component that restores its own chains with --noflush (no)",
        "operation = \"sync-noflush\"\nlost = []\nsaid = \"no\"\n"
    )]
    #[case::whole_whatever_was_said("the whole rule*", "lost = []\n")]
    #[case::chain(
        "the chain is gone, by a component that adds its own chain",
        "operation = \"sync\"\nlost = []\nsaid = \"the chain is gone\"\n"
    )]
    fn the_old_form_is_refused_with_the_new_one(#[case] loss: &str, #[case] names: &str) {
        let old = entry(&format!("loss = {loss:?}\n"));
        let text = entry("") + &old;
        let KnownError::OldForm { entries, .. } =
            Known::read("known.toml", &text, &[]).unwrap_err()
        else {
            panic!("{loss}");
        };
        assert_eq!(entries, entry(names));
        Known::read("known.toml", &entries, &[]).unwrap();
    }

    #[test]
    fn what_names_no_part_whole_is_left_to_who_wrote_it() {
        let text = entry("loss = \"source *\"\nrules = [\"INPUT 2\"]\n");
        let error = Known::read("known.toml", &text, &[]).unwrap_err();
        let KnownError::OldForm { entries, .. } = error else {
            panic!("{error}");
        };
        let note = "# name the parts that \"source *\" meant as lost, altered or added\n";
        assert_eq!(entries, note.to_owned() + &entry("rules = [\"INPUT 2\"]\n"));
    }
}
