//! What people know of causes: names, sentences, commits, reports. Data beside the signatures, and part of none of them.

use std::path::Path;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::signature::Signature;
use crate::catalog::{BuildId, Family};

/// `reports/causes.toml` as this program was compiled with.
const BUILT_IN: &str = include_str!("../../../reports/causes.toml");

/// What is known of causes.
#[derive(Debug, Clone, Default)]
pub struct KnownCauses {
    causes: Vec<KnownCause>,
}

/// What is known of one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnownCause {
    /// What it is called: `native-mark`.
    pub name: String,
    /// What happens, in one sentence.
    pub says: String,
    /// What kind of thing it is; none where nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CauseKind>,
    /// What it is told by: signatures as they are printed, with `*` for whatever has no `]`. Those with the same commits are one cause.
    pub signatures: Vec<String>,
    /// What helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Public reports of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<String>,
    /// The upstream commits that began and ended it.
    #[serde(default, skip_serializing_if = "Commits::is_empty")]
    pub commits: Commits,
    /// How a run showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// How a run showed a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Who encodes so: builds that wrote rules, or rewrote them.
    pub encoders: String,
    /// Who decodes it otherwise.
    pub decoders: String,
    /// The first release that encodes so, where an older one ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The first release that decodes it right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended_in: Option<String>,
    /// What is lost: `-m mark lost`.
    pub lost: String,
    /// The worst that comes of it, and how sure that is.
    pub worst: String,
    /// A rule as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The rule as it is then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The signatures of the run that the cause is told by.
    pub told_by: Vec<String>,
    /// What a program said, where it is no part that is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The cell that shows it best: writer, reader, scenario and family.
    pub cell: SeenCell,
    /// In how many scenarios.
    pub scenarios: usize,
    /// How many rules.
    pub rules: usize,
    /// In how many cells.
    pub cells: usize,
    /// The kernel of the run.
    pub kernel: String,
    /// The first day on which it was seen.
    pub first: String,
    /// The last one.
    pub last: String,
}

/// A cell that shows a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenCell {
    /// The scenario.
    pub scenario: String,
    /// The family.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub reader: BuildId,
}

/// What kind of thing a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// A program does what it should not.
    Bug,
    /// A rule is encoded in another way, which older programs do not know: no defect of anybody's.
    Encoding,
    /// Two programs that work as they are meant to, and do not go together.
    Design,
}

/// The upstream commits at the ends of a cause. What is not known is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commits {
    /// The first that encodes so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded_since: Option<Found>,
    /// The first that encodes otherwise again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoded_until: Option<Found>,
    /// The first that decodes it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misread_since: Option<Found>,
    /// The first that decodes it right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended: Option<Found>,
}

/// What a search for a commit came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// Its first twelve digits; none where there is not one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The day on which it was committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Its first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The releases between which it was looked for: the last before, and the first after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<[String; 2]>,
    /// Why there is none, or what else is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Commits that could not be tried: they do not compile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    cause: Vec<KnownCause>,
}

impl Commits {
    fn is_empty(&self) -> bool {
        *self == Commits::default()
    }

    /// Those that were looked for, each with what it is.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Found)> {
        let all = [
            ("encoded so since", &self.encoded_since),
            ("encoded so until", &self.encoded_until),
            ("misread since", &self.misread_since),
            ("mended by", &self.mended),
        ];
        all.into_iter()
            .filter_map(|(what, found)| Some((what, found.as_ref()?)))
    }
}

impl KnownCauses {
    /// Those that this program was compiled with.
    pub fn built_in() -> &'static KnownCauses {
        static KNOWN: OnceLock<KnownCauses> = OnceLock::new();
        // A test reads the file.
        KNOWN.get_or_init(|| KnownCauses::read(BUILT_IN).unwrap_or_default())
    }

    /// Reads such a file.
    ///
    /// # Errors
    /// It is no such file, two causes have one name, with the place.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        for (at, cause) in file.cause.iter().enumerate() {
            if file.cause[..at].iter().any(|of| of.name == cause.name) {
                return Err(format!("two causes are called {}", cause.name));
            }
        }
        Ok(KnownCauses { causes: file.cause })
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let file = File {
            cause: self.causes.clone(),
        };
        let text = toml::to_string_pretty(&file).map_err(std::io::Error::other)?;
        std::fs::write(path, format!("{HEAD}{text}"))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &KnownCause> {
        self.causes.iter()
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.causes.iter().map(|of| of.name.clone())
    }

    /// The one of that name.
    pub fn named(&self, name: &str) -> Option<&KnownCause> {
        self.causes.iter().find(|of| of.name == name)
    }

    /// The one of that name, to be changed.
    pub fn named_mut(&mut self, name: &str) -> Option<&mut KnownCause> {
        self.causes.iter_mut().find(|of| of.name == name)
    }

    /// Takes in what runs showed: causes that are not known yet are new entries, under the names of their signatures. The day on which
    /// one was first seen stays.
    pub fn take_in(&mut self, shown: Vec<KnownCause>) {
        for cause in shown {
            let Some(known) = self.named_mut(&cause.name) else {
                self.causes.push(cause);
                continue;
            };
            let (ends, found) = (&mut known.commits, cause.commits);
            for (end, found) in [
                (&mut ends.encoded_since, found.encoded_since),
                (&mut ends.encoded_until, found.encoded_until),
                (&mut ends.misread_since, found.misread_since),
                (&mut ends.mended, found.mended),
            ] {
                *end = found.or(end.take());
            }
            let first = known.seen.take().map(|of| of.first);
            known.seen = cause.seen.map(|seen| Seen {
                first: first.unwrap_or_else(|| seen.first.clone()),
                ..seen
            });
        }
    }

    /// What a cause of this signature is called: as people named it, else by the signature.
    pub fn name(&self, signature: &Signature) -> String {
        let named = self.of(signature).map(|of| of.name.clone());
        named.unwrap_or_else(|| signature.id().to_string())
    }

    /// Causes that a run showed, each with the first day on which it was seen as these have it.
    pub fn with_first_days(&self, mut shown: Vec<KnownCause>) -> Vec<KnownCause> {
        for cause in &mut shown {
            let earlier = self.named(&cause.name).and_then(|of| of.seen.as_ref());
            if let (Some(seen), Some(earlier)) = (&mut cause.seen, earlier) {
                seen.first = earlier.first.clone().min(std::mem::take(&mut seen.first));
            }
        }
        shown
    }

    /// Takes in when other such causes were seen: the first day, and the last sight. Causes that only they have are taken in whole.
    pub fn take_in_days(&mut self, earlier: &KnownCauses) {
        for other in &earlier.causes {
            let Some(known) = self.named_mut(&other.name) else {
                self.causes.push(other.clone());
                continue;
            };
            let Some(of_other) = &other.seen else {
                continue;
            };
            let first = match &known.seen {
                Some(seen) => of_other.first.clone().min(seen.first.clone()),
                None => of_other.first.clone(),
            };
            let newest = known.seen.take().filter(|seen| seen.last >= of_other.last);
            known.seen = Some(Seen {
                first,
                ..newest.unwrap_or_else(|| of_other.clone())
            });
        }
    }

    /// The first that is told by this signature.
    pub fn of(&self, signature: &Signature) -> Option<&KnownCause> {
        let text = signature.to_string();
        let is_told = |of: &&KnownCause| of.signatures.iter().any(|pattern| fits(pattern, &text));
        self.causes.iter().find(is_told)
    }
}

/// What stands above the causes in a file that the program writes.
const HEAD: &str = "\
# What is known of the causes of losses. `iptables-lab causes` prints them, `iptables-lab bisect` fills in the commits, people the rest.
# A cause is told by signatures, as `iptables-lab causes` prints them; `*` stands for whatever has no `]`. The first that fits is taken.

";

/// Whether a pattern is of a text: `*` stands for whatever is on its side of a closing bracket, all else for itself.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find(']').unwrap_or(rest.len());
            let ends = (0..=end).filter(|at| rest.is_char_boundary(*at));
            ends.into_iter().any(|at| fits(after, &rest[at..]))
        }),
    }
}
