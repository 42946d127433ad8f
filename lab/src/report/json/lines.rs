//! How the lines of the report are broken: what is short enough to be read stands indented, and of long lists each item in a line.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// How deep a document is indented: its fields, and the items of these. What these hold follows without a break, so that a line is
/// an outcome, or a cell.
const INDENTED: usize = 2;

/// Breaks lines at the first levels alone.
#[derive(Default)]
pub struct Lines {
    /// How many lists and objects are open.
    depth: usize,
    /// Whether the one that was opened last has something in it.
    has_value: bool,
}

impl Lines {
    fn opens(&mut self) {
        self.depth += 1;
        self.has_value = false;
    }

    fn closes(&mut self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let is_indented = self.depth <= INDENTED;
        self.depth -= 1;
        match is_indented && self.has_value {
            true => self.breaks(to),
            false => Ok(()),
        }
    }

    fn begins_item(&self, to: &mut (impl Write + ?Sized), is_first: bool) -> io::Result<()> {
        if !is_first {
            to.write_all(b",")?;
        }
        match self.depth <= INDENTED {
            true => self.breaks(to),
            false => Ok(()),
        }
    }

    fn breaks(&self, to: &mut (impl Write + ?Sized)) -> io::Result<()> {
        to.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| to.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.opens();
        to.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.closes(to)?;
        to.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.begins_item(to, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.opens();
        to.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.closes(to)?;
        to.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.begins_item(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        match self.depth <= INDENTED {
            true => to.write_all(b": "),
            false => to.write_all(b":"),
        }
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Serialize;
    use serde_json::{Serializer, json};

    use super::*;

    #[test]
    fn an_item_of_a_field_has_a_line() {
        let document = json!({
            "cells": [{"outcome": 1, "known_losses": []}, {"outcome": 2, "of": [1, 2]}],
            "host": {"arch": "x86_64", "notes": []},
            "missing": [],
            "schema": 2,
            "x": {},
        });
        let mut text = Vec::new();
        let mut to_json = Serializer::with_formatter(&mut text, Lines::default());
        document.serialize(&mut to_json).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"
        {
          "cells": [
            {"known_losses":[],"outcome":1},
            {"of":[1,2],"outcome":2}
          ],
          "host": {
            "arch": "x86_64",
            "notes": []
          },
          "missing": [],
          "schema": 2,
          "x": {}
        }
        "#);
    }
}
