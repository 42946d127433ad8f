//! Words of a rule: split as `iptables-restore` splits a line, quoted as `iptables-save` quotes.
//!
//! The reference is `add_param_to_argv()` in iptables/xshared.c, the same in all of 1.8.4 to
//! 1.8.13: only double quotes quote; a backslash escapes inside them and is an ordinary character
//! outside; a closing quote ends the word, so that `"a"b` is two words and `a"b"` is one.

use std::borrow::Cow;
use std::ops::Range;

/// One word of a line and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The word without its quotes.
    pub text: String,
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
pub fn split(line: &str) -> Result<Vec<Token>, Unterminated> {
    let mut splitter = Splitter::default();
    for (at, c) in line.char_indices() {
        splitter.take(at, c);
    }
    match splitter.quote {
        Some(quote) => Err(Unterminated { quote }),
        None => {
            splitter.end_word(line.len());
            Ok(splitter.tokens)
        }
    }
}

#[derive(Default)]
struct Splitter {
    tokens: Vec<Token>,
    /// The word in hand, and where it began.
    word: Option<(usize, String)>,
    /// Where the open quote stands.
    quote: Option<usize>,
    escaped: bool,
}

impl Splitter {
    fn take(&mut self, at: usize, c: char) {
        match (self.quote, c) {
            (Some(_), _) if self.escaped => {
                self.escaped = false;
                self.push(at, c);
            }
            (Some(_), '\\') => self.escaped = true,
            (Some(_), '"') => {
                self.quote = None;
                self.end_word(at + 1);
            }
            (None, '"') => {
                self.quote = Some(at);
                self.word.get_or_insert_with(|| (at, String::new()));
            }
            (None, ' ' | '\t' | '\n') => self.end_word(at),
            _ => self.push(at, c),
        }
    }

    fn push(&mut self, at: usize, c: char) {
        self.word
            .get_or_insert_with(|| (at, String::new()))
            .1
            .push(c);
    }

    fn end_word(&mut self, end: usize) {
        if let Some((start, text)) = self.word.take() {
            self.tokens.push(Token {
                text,
                span: start..end,
            });
        }
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
pub fn join<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| quoted(word.as_ref())).collect();
    quoted.join(" ")
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
            .map(|token| token.text)
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
        fn joined_words_split_again(list in prop::collection::vec("[ -~äß]{0,8}", 0..6)) {
            prop_assert_eq!(words(&join(&list)), list);
        }

        #[test]
        fn any_line_is_split_or_refused(line in "\\PC{0,40}") {
            if let Ok(tokens) = split(&line) {
                for token in tokens {
                    prop_assert!(line.get(token.span).is_some());
                }
            }
        }
    }
}
