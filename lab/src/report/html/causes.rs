//! The causes of a run on the page: a row each, which opens.

use serde::Serialize;

use super::super::tone::Tone;
use super::super::word_diff::{Piece, word_diff};
use super::super::{causes, facts, wording};
use super::address::address;
use crate::cause::{Cause, CauseCell, Ends, KnownCause, Signature};
use crate::matrix::{BuildSet, Letters, Matrix};

/// A cause.
#[derive(Serialize)]
pub struct CauseView {
    tone: &'static str,
    sign: char,
    name: String,
    since: Option<String>,
    mended: Option<String>,
    worst: String,
    between: String,
    says: String,
    example: Option<ExampleView>,
    /// The smallest scenario that shows it, and its cell.
    least: Option<(String, String)>,
    readings: Vec<ReadingView>,
    packets: Vec<String>,
    /// The cell that shows it best.
    cell: String,
    commits: Vec<(&'static str, String)>,
    reports: Vec<ReportView>,
    /// What else is known, each with its name.
    facts: Vec<(&'static str, String)>,
}

/// A rule before and after.
#[derive(Serialize)]
struct ExampleView {
    written: Vec<Piece>,
    other: Vec<Piece>,
    label: &'static str,
}

/// What the kernel holds from whom, and who reads it as what.
#[derive(Serialize)]
struct ReadingView {
    encoded: String,
    encoders: String,
    decoders: String,
    read_as: &'static str,
    own: String,
}

/// A public report.
#[derive(Serialize)]
struct ReportView {
    text: String,
    /// Whether it is an address that a browser can go to.
    is_link: bool,
}

/// A cause that earlier runs showed and this one does not.
#[derive(Serialize)]
pub struct UnseenView {
    name: String,
    says: String,
    seen: Option<String>,
}

/// The view of a cause, with what is known of it.
pub fn view(matrix: &Matrix, cause: &Cause, known: &KnownCause) -> CauseView {
    let sign = Letters::of(cause.letter, cause.worst.certainty).signs();
    let seen = known.seen.as_ref();
    let CauseCell {
        scenario,
        family,
        writer,
        reader,
    } = &cause.cell;
    let cell = matrix.cell(scenario, *family, writer, reader);
    let probes = cell.into_iter().flat_map(|cell| &cell.outcome.probes);
    let commits = known.commits.all();
    CauseView {
        tone: Tone::of(cause.worst.verdict).as_str(),
        sign: sign.chars().next().unwrap_or(' '),
        name: cause.name.clone(),
        since: seen.and_then(|of| of.since.clone()),
        mended: seen.and_then(|of| of.mended_in.clone()),
        worst: wording::worst(&cause.worst),
        between: wording::cause_between(cause),
        says: known.says.clone(),
        example: cause.example.as_ref().map(|of| {
            let (written, other) = word_diff(&of.before, &of.after);
            ExampleView {
                written,
                other,
                label: facts::printed_by(of.by),
            }
        }),
        least: least(matrix, cause),
        readings: cause
            .signatures
            .iter()
            .map(|of| reading(cause, of))
            .collect(),
        packets: probes.filter_map(wording::cause_packet).collect(),
        cell: address(writer, reader, scenario, Some(*family)),
        commits: commits
            .map(|(what, found)| (what, wording::found_commit(found)))
            .collect(),
        reports: known.reports.iter().map(|of| report(of)).collect(),
        facts: causes::facts(known),
    }
}

/// A cause that is known and that the run does not show.
pub fn unseen(known: &KnownCause) -> UnseenView {
    let days = known.seen.as_ref();
    UnseenView {
        name: known.name.clone(),
        says: known.says.clone(),
        seen: days.map(|of| wording::cause_days(&of.first, &of.last, &of.kernel)),
    }
}

/// What one build encodes, another decodes: the one has written it, or has read and rewritten what the other wrote.
fn least(matrix: &Matrix, cause: &Cause) -> Option<(String, String)> {
    let ((encoder, decoder), seen) = cause.pairs.iter().min_by_key(|(_, seen)| *seen)?;
    let orders = [(encoder, decoder), (decoder, encoder)];
    let mut cells = orders
        .into_iter()
        .filter_map(|(writer, reader)| matrix.cell(&seen.scenario, seen.family, writer, reader));
    let cell = cells.next()?;
    let cell = address(
        &cell.writer,
        &cell.reader,
        &seen.scenario,
        Some(seen.family),
    );
    Some((wording::least_scenario(&seen.scenario, seen.rules), cell))
}

fn reading(cause: &Cause, (signature, ends): (&Signature, &Ends)) -> ReadingView {
    let or_all = |set: &BuildSet, all: &BuildSet| {
        let is_empty = set.spans().is_empty();
        wording::builds_by_number(if is_empty { all } else { set })
    };
    ReadingView {
        encoded: signature.encoded.clone(),
        encoders: or_all(&ends.encoders, &cause.encoders),
        decoders: or_all(&ends.decoders, &cause.decoders),
        read_as: wording::read_as(signature.effect),
        own: wording::own_encoding(&signature.own).to_owned(),
    }
}

fn report(text: &str) -> ReportView {
    ReportView {
        text: text.to_owned(),
        is_link: ["https://", "http://"]
            .iter()
            .any(|start| text.starts_with(start)),
    }
}
