//! A printed line that is being read from its beginning.

use super::bytes::{Bytes, Name, Value, WORD, byte_of};

/// What is still to be read of a line. What does not fit is not read, and none is returned.
#[derive(Clone)]
pub(super) struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    /// At the beginning of `line`.
    pub fn new(line: &'t str) -> Self {
        Cursor(line)
    }

    /// Whether all is read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads this text.
    pub fn text(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// Reads this text, if it is there, and then what follows it.
    pub fn after<T>(
        &mut self,
        text: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.text(text) {
            Some(()) => read(self).map(Some),
            None => Some(None),
        }
    }

    /// Reads what `read` does, or nothing.
    pub fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut ahead = self.clone();
        let done = read(&mut ahead)?;
        *self = ahead;
        Some(done)
    }

    /// Reads a word without blanks, commas and brackets, which may be empty.
    pub fn word(&mut self) -> &'t str {
        let ends = |byte: &u8| b" ,()".contains(byte);
        let end = self.0.bytes().position(|byte| ends(&byte));
        self.take(end.unwrap_or(self.0.len()))
    }

    /// Reads a decimal number.
    pub fn number<N: TryFrom<u64>>(&mut self) -> Option<N> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        N::try_from(digits.parse().ok()?).ok()
    }

    /// Reads a hexadecimal number after its `0x`.
    pub fn digits<N: TryFrom<u64>>(&mut self) -> Option<N> {
        let digits = self.take_while(|byte| byte.is_ascii_hexdigit());
        N::try_from(u64::from_str_radix(digits, 16).ok()?).ok()
    }

    /// Reads `0x` and two digits a byte.
    pub fn bytes(&mut self) -> Option<Bytes> {
        self.text("0x")?;
        let end = memchr::memchr(b' ', self.0.as_bytes());
        let digits = self.take(end.unwrap_or(self.0.len()));
        Bytes::of_digits(digits.as_bytes())
    }

    /// Reads a value; an empty one where there is no word of it.
    pub fn value(&mut self) -> Option<Value> {
        let mut value = Value::default();
        let mut separator = "0x";
        while self.text(separator).is_some() {
            let digits = self.take_while(|byte| byte.is_ascii_hexdigit()).as_bytes();
            let mut word = [0; WORD];
            for (place, pair) in digits.chunks(2).enumerate() {
                *word.get_mut(place)? = byte_of(pair)?;
            }
            value.push_word(&mut word[..digits.len().div_ceil(2)]);
            separator = " 0x";
        }
        Some(value)
    }

    /// Reads a name.
    pub fn name(&mut self) -> Option<Name> {
        if self.text("\"").is_none() {
            let name = self.take_while(Name::is_bare);
            return (!name.is_empty()).then(|| name.as_bytes().into());
        }
        let mut name = Vec::new();
        loop {
            let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\'));
            name.extend_from_slice(plain.as_bytes());
            if self.text("\"").is_some() {
                return Some(name.into());
            }
            name.push(self.escaped()?);
        }
    }

    /// Reads a backslash and what it stands before, as `escape_ascii` writes it.
    fn escaped(&mut self) -> Option<u8> {
        self.text("\\")?;
        Some(match self.take_byte()? {
            b't' => b'\t',
            b'r' => b'\r',
            b'n' => b'\n',
            b'x' => byte_of(&[self.take_byte()?, self.take_byte()?])?,
            itself @ (b'\'' | b'"' | b'\\') => itself,
            _ => return None,
        })
    }

    fn take_byte(&mut self) -> Option<u8> {
        let byte = *self.0.as_bytes().first()?;
        self.0 = self.0.get(1..)?;
        Some(byte)
    }

    fn take_while(&mut self, fits: impl Fn(&u8) -> bool) -> &'t str {
        let end = self.0.bytes().position(|byte| !fits(&byte));
        self.take(end.unwrap_or(self.0.len()))
    }

    /// `end` is at an ASCII byte or at the end, so at the boundary of a character.
    fn take(&mut self, end: usize) -> &'t str {
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }
}
