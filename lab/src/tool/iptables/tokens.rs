//! Words of a rule: split as `iptables-restore` splits a line, quoted as `iptables-save` quotes.
//!
//! The reference is `add_param_to_argv()` in iptables/xshared.c, the same in all of 1.8.4 to
//! 1.8.13: only double quotes quote; a backslash escapes inside them and is an ordinary character
//! outside; a closing quote ends the word, so that `"a"b` is two words and `a"b"` is one.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// One word of a line and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token<'l> {
    /// The word without its quotes.
    pub text: Cow<'l, str>,
    /// Its bytes in the line, quotes included.
    pub span: Range<usize>,
}

/// A quote that is never closed; where it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unterminated {
    /// The byte of the opening quote in the line.
    pub quote: usize,
}

/// Splits one line (without its line break) into words.
pub fn split(line: &str) -> Result<Vec<Token<'_>>, Unterminated> {
    tokens(line).collect()
}

/// The words of one line (without its line break), one by one; an error is the last.
pub fn tokens(line: &str) -> impl Iterator<Item = Result<Token<'_>, Unterminated>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].find(|c| !is_blank(c))?;
        let token = token_at(line, at);
        at = token.as_ref().map_or(line.len(), |token| token.span.end);
        Some(token)
    })
}

/// Whether every quote of a line is closed, so that it can be split.
pub fn is_closed(line: &str) -> bool {
    let line = line.as_bytes();
    let mut at = 0;
    while let Some(opened) = memchr(b'"', &line[at..]) {
        at += opened + 1;
        loop {
            match memchr2(b'"', b'\\', &line[at..]) {
                None => return false,
                Some(found) if line[at + found] == b'"' => {
                    at += found + 1;
                    break;
                }
                // What a backslash stands before closes nothing. It may be the line's last byte.
                Some(found) => at = (at + found + 2).min(line.len()),
            }
        }
    }
    true
}

/// What stands between words.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// The word that begins at `start`, where no blank stands.
fn token_at(line: &str, start: usize) -> Result<Token<'_>, Unterminated> {
    let rest = &line[start..];
    let bare = rest.find(|c| is_blank(c) || c == '"').unwrap_or(rest.len());
    let quote = start + bare;
    if !line[quote..].starts_with('"') {
        return Ok(Token {
            text: Cow::Borrowed(&rest[..bare]),
            span: start..quote,
        });
    }
    let inside = &line[quote + 1..];
    let mut text = Cow::Borrowed(&rest[..bare]);
    let mut escaped = false;
    let mut read = 0;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => {
                escaped = true;
                add(&mut text, &inside[read..at]);
                read = at + 1;
            }
            '"' => {
                add(&mut text, &inside[read..at]);
                return Ok(Token {
                    text,
                    span: start..quote + 1 + at + 1,
                });
            }
            _ => {}
        }
    }
    Err(Unterminated { quote })
}

/// Appends a piece of the line; nothing is copied as long as the word is one piece.
fn add<'l>(text: &mut Cow<'l, str>, piece: &'l str) {
    match text.is_empty() {
        true => *text = Cow::Borrowed(piece),
        false => text.to_mut().push_str(piece),
    }
}

/// The word as it must stand in a line: bare where that reads back the same, else in double quotes with `"`, `\` and
/// `'` escaped, as `xtables_save_string()` writes them.
pub fn quoted(word: &str) -> Cow<'_, str> {
    let bare = !word.is_empty() && !word.contains([' ', '\t', '\n', '"']);
    if bare {
        return Cow::Borrowed(word);
    }
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for c in word.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    Cow::Owned(text)
}

/// The words as one line, each quoted where it must be.
pub fn join<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quoted(word.as_ref()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn words(line: &str) -> Vec<String> {
        split(line)
            .expect("the quotes are closed")
            .into_iter()
            .map(|token| token.text.into_owned())
            .collect()
    }

    #[rstest]
    #[case::blanks("  a \t b  ", &["a", "b"])]
    #[case::quotes(r#"--comment "a b" -j X"#, &["--comment", "a b", "-j", "X"])]
    #[case::empty_word(r#"a "" b"#, &["a", "", "b"])]
    #[case::escapes(r#""a\"b\\c\'d""#, &[r#"a"b\c'd"#])]
    #[case::backslash_outside(r"a\ b", &[r"a\", "b"])]
    #[case::single_quotes_are_letters("'a b'", &["'a", "b'"])]
    #[case::closing_quote_ends_the_word(r#""a"b"#, &["a", "b"])]
    #[case::opening_quote_goes_on(r#"a"b c""#, &["ab c"])]
    #[case::not_ascii("\"ü ß\" é", &["ü ß", "é"])]
    fn splits_like_iptables_restore(#[case] line: &str, #[case] expected: &[&str]) {
        assert_eq!(words(line), expected);
    }

    #[rstest]
    #[case(r#"a "b"#, 2)]
    #[case(r#"a "b\""#, 2)]
    #[case(r#"a "b" ""#, 6)]
    fn finds_the_open_quote(#[case] line: &str, #[case] quote: usize) {
        assert_eq!(split(line), Err(Unterminated { quote }));
    }

    #[test]
    fn spans_point_at_the_words() {
        let line = r#"-A X --comment "a b""#;
        let spans: Vec<_> = split(line)
            .expect("the quotes are closed")
            .into_iter()
            .map(|token| &line[token.span])
            .collect();
        assert_eq!(spans, ["-A", "X", "--comment", "\"a b\""]);
    }

    proptest! {
        #[test]
        fn a_line_of_quotes_is_split_or_not_closed(line in "[ a\"\\\\ß]{0,20}") {
            prop_assert_eq!(split(&line).is_ok(), is_closed(&line));
        }

        #[test]
        fn joined_words_split_again(list in prop::collection::vec("[ -~äß]{0,8}", 0..6)) {
            prop_assert_eq!(words(&join(&list)), list);
        }

        #[test]
        fn any_line_is_split_or_refused(line in "\\PC{0,40}") {
            prop_assert_eq!(split(&line).is_ok(), is_closed(&line));
            if let Ok(tokens) = split(&line) {
                for token in tokens {
                    prop_assert!(line.get(token.span).is_some());
                }
            }
        }
    }
}
