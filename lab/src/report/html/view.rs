//! What the page's template and its script are given.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::super::facts;
use super::super::terminal::sign;
use super::super::tone::Tone;
use super::super::transcripts::Transcripts;
use super::super::word_diff::{Piece, word_diff};
use super::super::{by_reason, causes as known_causes, folded, screen, wording};
use super::PageError;
use super::address::address;
use super::causes::{self, CauseView, UnseenView};
use super::details::{self, CausesOfCells};
use super::maps::{self, MapView, Maps, Places, Profile};
use crate::catalog::name_in_docker;
use crate::cause::KnownCauses;
use crate::judge::verdict::Verdict;
use crate::matrix::{
    Example, Loss, Matrix, ScenarioHead, Seen, broken, losses, packet_changes, symptoms,
};

/// The page.
#[derive(Serialize)]
pub struct Page {
    version: String,
    started: String,
    count: String,
    machine: String,
    operations: Vec<&'static str>,
    cut_short: Option<String>,
    /// What came of the losses that are listed as known.
    known: Vec<String>,
    /// The folded matrix with its legend, as the terminal shows it.
    folded: String,
    causes: Vec<CauseView>,
    /// Causes that earlier runs showed and this one does not.
    unseen: Vec<UnseenView>,
    symptoms: Vec<SymptomView>,
    signs: Vec<SignView>,
    /// Class, name and meaning of squares without a cell.
    absences: Vec<(&'static str, &'static str, &'static str)>,
    consequences: Vec<(&'static str, &'static str)>,
    not_run: Option<String>,
    missing: Vec<(String, String)>,
    scenarios: Vec<ScenarioView>,
    /// What the script needs at once, as JSON in which no `<` stands.
    data: String,
}

/// A sentence and the address of a cell that shows it.
#[derive(Serialize)]
struct Line {
    tone: &'static str,
    sign: char,
    said: String,
    example: Option<String>,
}

#[derive(Serialize)]
struct SymptomView {
    words: &'static str,
    cause: &'static str,
    seen: Vec<(String, usize, String)>,
}

#[derive(Serialize)]
struct SignView {
    sign: char,
    tone: &'static str,
    name: &'static str,
    meaning: &'static str,
    count: usize,
}

#[derive(Serialize)]
struct ScenarioView {
    name: String,
    title: String,
    /// How many cells have damage that nobody is told about.
    silent: usize,
    maps: Vec<MapView>,
    losses: Vec<LossView>,
    packets: Vec<Line>,
    /// What is said where there is no loss.
    quiet: Option<&'static str>,
    block: String,
}

#[derive(Serialize)]
struct LossView {
    line: Line,
    rule: Option<ExampleView>,
}

/// One rule that shows a loss.
#[derive(Serialize)]
struct ExampleView {
    place: String,
    written: Vec<Piece>,
    other: Vec<Piece>,
    label: String,
}

/// What the script needs at once.
#[derive(Serialize)]
struct Data<'a> {
    /// Sign, tone and meaning of everything that an operation can come to.
    verdicts: BTreeMap<&'static str, (char, &'static str, &'static str)>,
    /// The backend of each build.
    backends: BTreeMap<&'a str, &'static str>,
    /// What the image of each build is called in Docker.
    images: BTreeMap<&'a str, Cow<'a, str>>,
    /// What cells have in common.
    profiles: Vec<Profile>,
    /// For each heat map in the order of the page, for each family, for each row, for each column the place of its
    /// profile; none where the pairing was not run.
    maps: Vec<Places>,
}

impl Page {
    /// The view of a matrix and of what was seen besides.
    pub fn new(
        matrix: &Matrix,
        transcripts: &Transcripts,
        history: &KnownCauses,
    ) -> Result<Self, PageError> {
        let found = crate::cause::causes(matrix);
        let of_cells = CausesOfCells::new(matrix, &found);
        let known = history.with_first_days(known_causes::shown(matrix, &found));
        let views = found.causes.iter().zip(&known);
        let views = views
            .map(|(cause, known)| causes::view(matrix, cause, known))
            .collect();
        let is_unseen =
            |of: &&crate::cause::KnownCause| known.iter().all(|seen| seen.name != of.name);
        let unseen = history.iter().filter(is_unseen).map(causes::unseen);
        let mut maps = Maps::default();
        let scenarios = matrix.scenarios.iter();
        let scenarios = scenarios
            .map(|head| ScenarioView::new(matrix, head, transcripts, &of_cells, &mut maps));
        let scenarios = scenarios.collect::<Result<Vec<_>, PageError>>()?;
        let (profiles, maps) = maps.finish();
        let (backends, images) = (matrix.builds.iter(), matrix.builds.iter());
        let data = Data {
            verdicts: maps::meanings(),
            backends: backends
                .map(|of| (of.id.as_str(), of.backend.as_str()))
                .collect(),
            images: images
                .map(|of| (of.id.as_str(), name_in_docker(of.id.image())))
                .collect(),
            profiles,
            maps,
        };
        let is_missing = !matrix.missing.is_empty();
        let missing = by_reason(&matrix.missing).into_iter();
        Ok(Page {
            version: matrix.lab.version.clone(),
            started: wording::when(matrix),
            count: wording::count(matrix),
            machine: wording::machine(matrix),
            operations: matrix.operations.iter().map(|of| of.as_str()).collect(),
            cut_short: wording::cut_short(matrix),
            known: [wording::without_bystander(matrix), wording::known(matrix)].concat(),
            folded: folded(matrix),
            causes: views,
            unseen: unseen.collect(),
            symptoms: symptom_views(matrix),
            signs: wording::verdicts(matrix)
                .into_iter()
                .map(sign_view)
                .collect(),
            absences: matrix
                .absences()
                .into_iter()
                .map(|of| {
                    (
                        maps::class(of),
                        wording::absence(of),
                        wording::absence_meaning(of),
                    )
                })
                .collect(),
            consequences: wording::consequences(matrix)
                .into_iter()
                .map(|of| (of.as_str(), wording::consequence_meaning(of)))
                .collect(),
            not_run: is_missing.then(|| wording::not_run(matrix)),
            missing: missing
                .map(|(reason, ids)| (ids.join(", "), reason.to_owned()))
                .collect(),
            scenarios,
            data: serde_json::to_string(&data)?.replace('<', "\\u003c"),
        })
    }
}

fn folded(matrix: &Matrix) -> String {
    let lines = folded::lines(matrix, screen::COLUMNS).join("\n");
    anstream::adapter::strip_str(&lines).to_string()
}

fn of_example(scenario: &str, example: &Example) -> String {
    let Example {
        family,
        writer,
        reader,
        ..
    } = example;
    address(writer, reader, scenario, Some(*family))
}

fn symptom_views(matrix: &Matrix) -> Vec<SymptomView> {
    let symptoms = symptoms(matrix).into_iter();
    let view = |of: Seen| SymptomView {
        words: wording::symptom(of.symptom),
        cause: wording::symptom_cause(of.symptom),
        seen: of
            .sightings
            .into_iter()
            .map(|seen| {
                let address = of_example(&seen.scenario, &seen.example);
                (seen.scenario, seen.cells, address)
            })
            .collect(),
    };
    symptoms.map(view).collect()
}

fn sign_view((verdict, count): (Verdict, usize)) -> SignView {
    SignView {
        sign: sign(verdict),
        tone: Tone::of(verdict).as_str(),
        name: verdict.as_str(),
        meaning: wording::verdict_meaning(verdict),
        count,
    }
}

impl ScenarioView {
    fn new(
        matrix: &Matrix,
        head: &ScenarioHead,
        transcripts: &Transcripts,
        causes: &CausesOfCells<'_>,
        maps: &mut Maps,
    ) -> Result<Self, PageError> {
        let losses = losses(matrix, &head.name);
        let maps = maps.of_scenario(matrix, head);
        let quiet = match (maps.is_empty(), losses.is_empty()) {
            (true, _) => Some(wording::no_cell(matrix, head)),
            (false, true) => Some(wording::no_harm(matrix, &head.name)),
            (false, false) => None,
        };
        let line = |mark, said, example| Line {
            tone: Tone::Silent.as_str(),
            sign: mark,
            said,
            example,
        };
        let broken = broken(matrix, &head.name);
        let broken = broken.iter().map(|of| line('?', wording::broken(of), None));
        let untested = wording::not_tested(matrix, &head.name).into_iter();
        let untested = untested.map(|said| Line {
            tone: Tone::of(Verdict::Unsupported).as_str(),
            sign: sign(Verdict::Unsupported),
            said,
            example: None,
        });
        let changes = packet_changes(matrix, &head.name);
        let changes = changes.iter().map(|of| {
            let example = of_example(&head.name, &of.example);
            line('*', wording::packet(of), Some(example))
        });
        let cells = matrix.cells.iter();
        let silent = cells.filter(|of| of.scenario == head.name && of.verdict.is_silent_damage());
        Ok(ScenarioView {
            name: head.name.clone(),
            title: head.title.clone(),
            silent: silent.count(),
            losses: losses
                .iter()
                .map(|loss| loss_view(matrix, &head.name, loss))
                .collect(),
            packets: untested.chain(broken).chain(changes).collect(),
            quiet,
            block: details::block(matrix, head, transcripts, causes)?,
            maps,
        })
    }
}

fn loss_view(matrix: &Matrix, scenario: &str, loss: &Loss) -> LossView {
    let rule = facts::example(matrix, scenario, loss).map(|example| {
        let (written, other) = word_diff(example.texts.before, example.texts.after);
        let Example {
            family,
            writer,
            reader,
            ..
        } = &loss.example;
        let rule = example.rule;
        ExampleView {
            place: format!(
                "{} {} {}, {writer} → {reader}, {family}",
                rule.table, rule.chain, rule.index
            ),
            written,
            other,
            label: example.label(),
        }
    });
    LossView {
        line: Line {
            tone: Tone::of(loss.form.harm.verdict).as_str(),
            sign: sign(loss.form.harm.verdict),
            said: wording::loss(matrix, loss),
            example: Some(of_example(scenario, &loss.example)),
        },
        rule,
    }
}
