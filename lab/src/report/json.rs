//! The matrix as JSON: schema 1.

use crate::matrix::Matrix;

/// The matrix as one JSON document, indented, with a line's end.
///
/// # Errors
/// Never in practice: every field of a matrix has a JSON form.
pub fn render(matrix: &Matrix) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(matrix)?;
    text.push('\n');
    Ok(text)
}
