//! What follows an expression's name.

use std::fmt;

use crate::observed::cursor::Cursor;

/// What follows an expression's name when it is printed, each part after a blank.
pub(super) trait Words: Sized {
    /// Prints it.
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Reads the same.
    fn read(line: &mut Cursor<'_>) -> Option<Self>;
}

impl<T: Words> Words for Box<T> {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::write(self, f)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        T::read(line).map(Box::new)
    }
}
