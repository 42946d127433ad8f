//! The matrix as JSON: schema 1.

use std::io::{self, Write};

use crate::matrix::Matrix;

/// Writes the matrix as one JSON document, indented, with a line's end. It is never in memory as a whole: of a large run it
/// would be the largest thing there.
///
/// # Errors
/// Where `to` cannot be written.
pub fn write(matrix: &Matrix, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, matrix)?;
    to.write_all(b"\n")
}
