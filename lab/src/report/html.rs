//! The matrix as a page: one file that needs no network, is readable without JavaScript and better with it.
//!
//! What a reader without JavaScript sees is in the markup: summary, heat maps, losses with both texts. The details of
//! cells are data, for there are tens of thousands: a compressed block a scenario, which the page's script unpacks when
//! a cell of it is opened. All text gets into the page escaped by the template, or as text by the script; besides, the
//! page's own policy lets only its one script run.

mod address;
mod causes;
mod details;
mod distinct;
mod maps;
mod packed;
mod view;

use std::fmt;

use base64::Engine;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest, Sha256};

use super::transcripts::Transcripts;
use crate::cause::KnownCauses;
use crate::matrix::Matrix;

const TEMPLATE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// Why a page could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The template.
    #[error("the page's template: {0:#}")]
    Template(#[from] minijinja::Error),
    /// The data.
    #[error("the page's data: {0}")]
    Data(#[from] serde_json::Error),
    /// The packing of the data.
    #[error("the page's data cannot be packed: {0}")]
    Pack(#[from] std::io::Error),
}

/// The whole page, with what `transcripts` holds of the cells, and when causes were seen according to `history`.
///
/// # Errors
/// Never in practice: templates are the program's own, and every view has a JSON form.
pub fn render(
    matrix: &Matrix,
    transcripts: &Transcripts,
    history: &KnownCauses,
) -> Result<String, PageError> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|to, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => Ok(escape(text, to)?),
        _ => minijinja::escape_formatter(to, state, value),
    });
    environment.add_filter("address", address::encoded);
    environment.add_template("page", TEMPLATE)?;
    let page = environment.get_template("page")?.render(context! {
        view => Value::from(Serde(view::Page::new(matrix, transcripts, history)?)),
        style => STYLE,
        style_hash => policy_hash(STYLE),
        script => SCRIPT,
        script_hash => policy_hash(SCRIPT),
    })?;
    Ok(page)
}

/// Writes what cannot be text as it is, in an element or in an attribute with quotes around it. minijinja would write five characters
/// for each slash of each cell's address, too.
fn escape(text: &str, to: &mut impl fmt::Write) -> fmt::Result {
    for c in text.chars() {
        match c {
            '&' => to.write_str("&amp;")?,
            '<' => to.write_str("&lt;")?,
            '>' => to.write_str("&gt;")?,
            '"' => to.write_str("&quot;")?,
            '\'' => to.write_str("&#x27;")?,
            other => to.write_char(other)?,
        }
    }
    Ok(())
}

/// What a content security policy calls an inline text by.
fn policy_hash(text: &str) -> String {
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
    format!("sha256-{digest}")
}
