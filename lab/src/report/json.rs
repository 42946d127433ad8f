//! The matrix as JSON: schema 2, written and read back.

mod encoded;
mod form;
mod lines;

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use serde::{Deserialize, Serialize};

use form::Report;
pub use form::SCHEMA;
use lines::Lines;

use crate::matrix::Matrix;

/// The JSON Schema of what is written.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Report<'static>)
}

/// Writes the matrix as one JSON document, each outcome and each cell in a line of its own. It is never in memory as a whole: of a
/// large run it would be the largest thing there.
///
/// # Errors
/// Where `to` cannot be written.
pub fn write(matrix: &Matrix, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
    // serde_json writes every quote and comma by itself.
    let mut inert = BufWriter::with_capacity(64 << 10, Inert(&mut *to));
    let mut to_json = serde_json::Serializer::with_formatter(&mut inert, Lines::default());
    Report::from(matrix).serialize(&mut to_json)?;
    inert.flush()?;
    drop(inert);
    to.write_all(b"\n")
}

/// JSON in which no control character stands that JSON lets be: a terminal obeys U+009B as it does an escape.
pub fn inert(json: &str) -> Cow<'_, str> {
    let is_left = |c: char| c.is_control() && c > '\u{1f}';
    // The first bytes of these, which most texts do not have.
    let may_hold_one = json.bytes().any(|byte| matches!(byte, 0x7f | 0xc2));
    if !may_hold_one || !json.contains(is_left) {
        return json.into();
    }
    let mut inert = String::with_capacity(json.len());
    for c in json.chars() {
        match is_left(c) {
            true => inert.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => inert.push(c),
        }
    }
    inert.into()
}

/// Takes JSON in pieces of whole characters, as serde_json writes it and [`BufWriter`] passes it on.
struct Inert<'a, W: ?Sized>(&'a mut W);

impl<W: Write + ?Sized> Write for Inert<'_, W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(piece).map_err(io::Error::other)?;
        self.0.write_all(inert(text).as_bytes())?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Why a text is no report that can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It ends in the middle.
    #[error("it ends in the middle, at line {line}, column {column}: it was cut off")]
    CutOff {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is no JSON, or a field is not what the schema says.
    #[error("{message}")]
    Malformed {
        /// What is wrong, with line and column.
        message: String,
    },
    /// It is the report of another tool.
    #[error("it is no report of iptables-lab: it has no `{lacks}`")]
    OtherTool {
        /// What every report of this tool has.
        lacks: &'static str,
    },
    /// It is of another schema.
    #[error(
        "it is a report of schema {found}, and this program reads schema {SCHEMA}: make it anew from the run's recording \
         (`replay FILE --format json`), or read it with the release of iptables-lab that wrote it"
    )]
    OtherSchema {
        /// The schema it says it has.
        found: u64,
    },
}

/// What tells a report of this tool.
#[derive(Deserialize)]
struct ReportHeader {
    schema: Option<serde_json::Value>,
    lab: Option<serde_json::Value>,
    cells: Option<serde::de::IgnoredAny>,
}

/// Reads a report back. Fields that a later release added are passed over.
///
/// # Errors
/// It is cut off, no JSON, of another schema or of another tool; with the place where there is one.
pub fn read(text: &str) -> Result<Matrix, ReadError> {
    let header: ReportHeader = serde_json::from_str(text).map_err(fault)?;
    let lacks = [
        (header.schema.is_none(), "schema"),
        (header.lab.is_none(), "lab"),
        (header.cells.is_none(), "cells"),
    ];
    if let Some((_, lacks)) = lacks.into_iter().find(|(is_lacking, _)| *is_lacking) {
        return Err(ReadError::OtherTool { lacks });
    }
    match header.schema.and_then(|schema| schema.as_u64()) {
        Some(found) if found != u64::from(SCHEMA) => Err(ReadError::OtherSchema { found }),
        Some(_) => {
            let report: Report<'_> = serde_json::from_str(text).map_err(fault)?;
            let matrix = report.into_matrix();
            matrix.map_err(|message| ReadError::Malformed { message })
        }
        None => Err(ReadError::OtherTool { lacks: "schema" }),
    }
}

fn fault(error: serde_json::Error) -> ReadError {
    match error.is_eof() {
        true => ReadError::CutOff {
            line: error.line(),
            column: error.column(),
        },
        false => ReadError::Malformed {
            message: error.to_string(),
        },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Tool;
    use crate::judge::RuleVerdict;
    use crate::judge::by_operation::{Answer, PrintVerdict};

    fn matrix() -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn written(matrix: &Matrix) -> String {
        let mut text = Vec::new();
        write(matrix, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let json = written(&matrix());
        assert!(written(&read(&json).unwrap()) == json);
    }

    /// A scenario of two layers, the second of which nft writes and prints: its rules say so.
    #[test]
    fn rules_say_whose_they_are_and_of_which_layer() {
        let mut matrix = matrix();
        let outcome = std::sync::Arc::make_mut(&mut matrix.cells[0].outcome);
        let mut rules: Vec<RuleVerdict> = outcome.rules.iter().cloned().collect();
        assert!(
            rules
                .iter()
                .all(|rule| (rule.tool, rule.layer) == (Tool::Iptables, 1))
        );
        let saved = Answer::Save(PrintVerdict::Reworded);
        rules.push(RuleVerdict {
            table: "filter".into(),
            chain: "INPUT".into(),
            index: rules.len() + 1,
            tool: Tool::Nft,
            layer: 2,
            given: "add rule ip filter INPUT meta mark 0x8000 counter drop".into(),
            read: Some("meta mark 0x00008000 counter packets 0 bytes 0 drop".into()),
            operations: [saved].into_iter().collect(),
            ..RuleVerdict::default()
        });
        outcome.rules = rules.into();
        let json = written(&matrix);
        assert!(written(&read(&json).unwrap()) == json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let of_nft = json["outcomes"][0]["rules"]
            .as_array()
            .unwrap()
            .last()
            .unwrap();
        assert_eq!(
            (&of_nft["tool"], &of_nft["layer"]),
            (&"nft".into(), &2.into())
        );
        let schema = jsonschema::validator_for(schema().as_value()).unwrap();
        assert!(schema.is_valid(&json));
    }

    #[test]
    fn a_cell_of_an_outcome_that_is_not_there_is_named() {
        let text = written(&matrix()).replacen("\"outcome\":0", "\"outcome\":400", 1);
        let error = read(&text).unwrap_err().to_string();
        assert!(
            error.contains("is of outcome 400, and there are"),
            "{error}"
        );
    }

    #[test]
    fn no_control_character_is_left_wherever_it_stands() {
        let controls: String = ('\u{7f}'..='\u{9f}').collect();
        // Characters of two and more bytes beside them, and more than is passed on at a time.
        let texts = ["", "\u{80}", "a", "é\u{9b}", "\u{2028}"]
            .map(|text| format!("{text}{controls}").repeat(9000));
        for text in texts {
            let mut matrix = matrix();
            matrix.scenarios[0].title = text;
            let json = written(&matrix);
            assert!(!json.contains(|c: char| c.is_control() && c != '\n'));
            assert!(written(&read(&json).unwrap()) == json);
        }
    }

    #[test]
    fn a_report_that_is_cut_off_anywhere_says_where() {
        let text = written(&matrix());
        for part in 1..20 {
            let cut = &text[..text.len() * part / 20];
            let error = read(cut).unwrap_err();
            let lines = cut.lines().count();
            let is_there = matches!(error, ReadError::CutOff { line, .. } if line + 1 >= lines);
            assert!(is_there, "{error}");
        }
    }

    #[rstest]
    #[case("", "ends in the middle, at line 1")]
    #[case("iptables: 3 rules", "expected value at line 1 column 1")]
    #[case("{}", "no report of iptables-lab: it has no `schema`")]
    #[case(r#"{"schema": 2, "results": []}"#, "it has no `lab`")]
    #[case(
        r#"{"schema": 7, "lab": {}, "cells": []}"#,
        "schema 7, and this program reads schema 2"
    )]
    #[case(
        r#"{"schema": "draft-07", "lab": {}, "cells": []}"#,
        "it has no `schema`"
    )]
    #[case(
        r#"{"schema": 2, "lab": {"version": "0"}, "cells": [{}]}"#,
        "missing field `scenario` at line 1 column 51"
    )]
    fn what_is_no_report_is_called_what_it_is(#[case] text: &str, #[case] words: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
