//! What is kept in JSON as the line that it is printed in.

use std::fmt::{self, Display, Write as _};

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Whether `what` is printed as `line`.
pub(super) fn is_printed_as(what: &impl Display, line: &str) -> bool {
    let mut unprinted = Unprinted(line);
    write!(unprinted, "{what}").is_ok() && unprinted.0.is_empty()
}

/// What of a line is not printed yet. It takes what it begins with, and nothing else.
struct Unprinted<'t>(&'t str);

impl fmt::Write for Unprinted<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Takes a line, and reads it.
pub(super) fn deserialize<'de, D: Deserializer<'de>, T>(
    from: D,
    read: impl FnOnce(&str) -> T,
) -> Result<T, D::Error> {
    struct Line<R>(R);
    impl<T, R: FnOnce(&str) -> T> Visitor<'_> for Line<R> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a printed line")
        }

        fn visit_str<E: Error>(self, line: &str) -> Result<T, E> {
            Ok(self.0(line))
        }
    }
    from.deserialize_str(Line(read))
}
