//! How each release writes each part of a rule, and who reads it otherwise: a small file of data for programs.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{BuildId, Family};
use crate::cause::{Attribution, Effect, KnownCauses, Loss, Signature, clauses_of};
use crate::judge::Cell;
use crate::matrix::{Certainty, Matrix, Side};
use crate::observed::Encoding;

/// The version of the form: a field may be added within it, and none may change or go.
pub const VERSION: u32 = 1;

/// How each build of a run writes each part of a rule, and how each that reads it otherwise does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Compatibility")]
pub struct Compat {
    /// 1.
    pub compat: u32,
    /// The version of the lab.
    pub lab: String,
    /// The day of the run.
    pub day: String,
    /// Its kernel.
    pub kernel: String,
    /// The builds that ran: of what is said of none of them nothing is known.
    pub builds: Vec<BuildId>,
    /// By the part's name: `match mark`, `target NFLOG`, `source`. What nft's rules have is called by its clause: `nft payload
    /// transport; lookup anonymous`.
    pub parts: BTreeMap<String, PartCompat>,
}

/// How one part is written, and who reads it otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct PartCompat {
    /// By how it is encoded in the kernel, without values: who writes it so.
    pub written: BTreeMap<String, BTreeSet<BuildId>>,
    /// Who reads it otherwise. Whoever is not named here, and ran, reads it as it was written.
    pub misread: Vec<Misread>,
}

/// Some builds that read an encoding otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Misread {
    /// How the part is encoded.
    pub encoded: String,
    /// What they make of it.
    pub effect: Effect,
    /// Who.
    pub by: BTreeSet<BuildId>,
    /// The name of the cause.
    pub cause: String,
    /// Whether packets showed it.
    pub confirmed: bool,
}

/// The JSON Schema of a [`Compat`].
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Compat)
}

/// What is gathered of a misreading.
type Key = (String, Effect, String);

/// How each build of a run writes each part of a rule, and who reads it otherwise.
pub fn compat(matrix: &Matrix) -> Compat {
    let mut written: BTreeMap<String, BTreeMap<String, BTreeSet<BuildId>>> = BTreeMap::new();
    let mut misread: BTreeMap<String, BTreeMap<Key, (BTreeSet<BuildId>, bool)>> = BTreeMap::new();
    let attribution = Attribution::new(matrix);
    let mut wrote = BTreeSet::new();
    for cell in &matrix.cells {
        if wrote.insert((&cell.scenario, cell.family, &cell.writer)) {
            for (rule, encoding) in cell.encoded.written.iter().enumerate() {
                let Some(encoding) = encoding else { continue };
                for (part, form) in encoded_parts(cell, rule, encoding) {
                    let by_form = written.entry(part).or_default();
                    let by = cell.writer_of(rule).clone();
                    by_form.entry(form).or_default().insert(by);
                }
            }
        }
        for (loss, signature) in attribution.cell(cell) {
            for (part, encoded) in misread_parts(cell, &loss, &signature) {
                let cause = KnownCauses::built_in().name(&signature);
                let decoder = loss.encoder.decoder(cell, loss.rule);
                let of_part = misread.entry(part).or_default();
                let (by, confirmed) = of_part
                    .entry((encoded, signature.effect, cause))
                    .or_default();
                by.insert(decoder.clone());
                *confirmed |=
                    loss.harm.certainty == Certainty::Shown && loss.harm.consequence.is_some();
            }
        }
    }
    let mut all: BTreeMap<String, PartCompat> = BTreeMap::new();
    for (part, written) in written {
        all.entry(part).or_default().written = written;
    }
    for (part, of_part) in misread {
        let of_part = of_part.into_iter();
        let misread = of_part.map(|((encoded, effect, cause), (by, confirmed))| Misread {
            encoded,
            effect,
            by,
            cause,
            confirmed,
        });
        all.entry(part).or_default().misread = misread.collect();
    }
    Compat {
        compat: VERSION,
        lab: matrix.lab.version.clone(),
        day: matrix.started.strftime("%Y-%m-%d").to_string(),
        kernel: matrix.host.kernel.clone(),
        builds: matrix.builds.iter().map(|of| of.id.clone()).collect(),
        parts: all,
    }
}

/// The parts of a rule, each with how it is encoded.
fn encoded_parts(cell: &Cell, rule: usize, encoding: &Encoding) -> Vec<(String, String)> {
    let names = names(cell, rule);
    if names.is_empty() {
        let clauses = encoding.clauses().map(|clause| clause.form());
        return clauses.map(|form| (format!("nft {form}"), form)).collect();
    }
    let part = |name: String| {
        let form = form_of(cell.family, &name, encoding)?;
        Some((name, form))
    };
    names.into_iter().filter_map(part).collect()
}

/// The names of the parts of a rule; none of one whose parts only the kernel tells.
fn names(cell: &Cell, rule: usize) -> Vec<String> {
    let Some(rule) = cell.outcome.rules.get(rule) else {
        return Vec::new();
    };
    let dialect = rule.tool.dialect();
    let words = dialect.words(rule.written.as_deref().unwrap_or(&rule.given));
    dialect.encoded_parts(&words.to_vec())
}

/// How a part is encoded.
fn form_of(family: Family, part: &str, encoding: &Encoding) -> Option<String> {
    let held = clauses_of(family, part, encoding);
    let forms: BTreeSet<String> = held.iter().map(|clause| clause.form()).collect();
    (!forms.is_empty()).then(|| forms.into_iter().collect::<Vec<_>>().join(" + "))
}

/// The parts that a loss is about, each as it is encoded.
fn misread_parts(cell: &Cell, loss: &Loss, signature: &Signature) -> Vec<(String, String)> {
    let Some(rule) = loss.rule.filter(|_| loss.is_direct) else {
        return Vec::new();
    };
    let encoding = match loss.encoder {
        Side::Writer => cell.encoded.by_writer(rule),
        Side::Reader => cell.encoded.by_reader(rule),
    };
    let Some(encoding) = encoding else {
        return Vec::new();
    };
    let all = encoded_parts(cell, rule, encoding).into_iter();
    let is_meant = |(part, form): &(String, String)| {
        let is_part = !loss.part.name.is_empty() && *part == loss.part.name;
        let is_form = form.split(" + ").any(|form| form == signature.encoded);
        match signature.effect.is_of_part() {
            true => is_part || (part.starts_with("nft ") && is_form),
            false => is_form,
        }
    };
    all.filter(is_meant).collect()
}
