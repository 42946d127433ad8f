//! What is kept in JSON as the line that it is printed in.

use std::fmt::{self, Display, Write as _};

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bytes::{Bytes, Name};
use super::cursor::Cursor;

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

/// Takes a line that `read` reads to its end: `what`.
pub(super) fn deserialize_whole<'de, D: Deserializer<'de>, T>(
    from: D,
    what: &str,
    read: impl FnOnce(&mut Cursor<'_>) -> Option<T>,
) -> Result<T, D::Error> {
    let whole = |text: &str| {
        let mut line = Cursor::new(text);
        let read = read(&mut line).filter(|_| line.is_at_end());
        read.ok_or_else(|| text.to_owned())
    };
    deserialize(from, whole)?
        .map_err(|text| D::Error::custom(format!("no {what} as it is printed: {text:?}")))
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_whole(from, "bytes", |line| line.bytes())
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize_whole(from, "name", |line| line.name())
    }
}

/// Writes what is there after its name, and nothing else.
pub(super) fn part<T: Display>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<T>,
) -> fmt::Result {
    match value {
        Some(value) => write!(f, "{name}{value}"),
        None => Ok(()),
    }
}

/// Writes each after a blank.
pub(super) fn each<T: Display>(f: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
    all.iter().try_for_each(|one| write!(f, " {one}"))
}
