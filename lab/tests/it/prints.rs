//! The form of a stored file of prints: which build printed what of whose rules, and each distinct print once.
//!
//! ```text
//! 1.8.8-nft: 883de4f0
//! 1.8.8-nft > 1.8.7-nft: 62f07fd4
//!
//! === 62f07fd4
//! *filter
//! …
//! ```
//!
//! The first line refers to the writer's own print, the second to what a reader prints of it. A reader without a line
//! prints what the writer prints; one of the other backend prints no rule. Nothing depends on what else is in a file: a
//! print's name is made from its text, and lines and prints are sorted by name. So another build adds lines, and changes
//! none.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What stands before a print's name.
const MARK: &str = "=== ";

/// Who printed something: the writer, and the reader, if it is not the writer itself.
pub type Pairing = (String, Option<String>);

/// What builds print in one scenario and family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prints {
    lines: BTreeMap<Pairing, String>,
    texts: BTreeMap<String, String>,
}

/// The folder of the stored files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/save")
}

/// The name of the file of a scenario and family, without `.snap`.
pub fn name(scenario: &str, family: &str) -> String {
    format!("{scenario}-{family}")
}

/// The names of all stored files, without `.snap`.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).expect("the folder can be read");
    let mut names: Vec<String> = files
        .map(|file| file.expect("the folder can be read").path())
        .map(|path| path.file_stem().unwrap_or_default().display().to_string())
        .collect();
    names.sort();
    names
}

impl Prints {
    /// Those of a stored file, or none where there is no such file.
    pub fn stored(name: &str) -> Prints {
        let path = folder().join(format!("{name}.snap"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // What insta puts before it lies between two lines of dashes.
        let text = text.splitn(3, "---\n").nth(2).unwrap_or_default();
        Prints::parse(text)
    }

    /// Those of a file's text.
    pub fn parse(text: &str) -> Prints {
        let mut prints = Prints::default();
        let mut print: Option<(&str, String)> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(MARK) {
                prints.close(print.replace((name, String::new())));
            } else if let Some((_, text)) = &mut print {
                text.push_str(line);
                text.push('\n');
            } else if let Some((who, name)) = line.split_once(": ") {
                let pairing = match who.split_once(" > ") {
                    Some((writer, reader)) => (writer.to_owned(), Some(reader.to_owned())),
                    None => (who.to_owned(), None),
                };
                prints.lines.insert(pairing, name.to_owned());
            }
        }
        prints.close(print);
        prints
    }

    fn close(&mut self, print: Option<(&str, String)>) {
        if let Some((name, text)) = print {
            let text = text.trim_end_matches('\n').to_owned();
            self.texts.insert(name.to_owned(), text);
        }
    }

    /// Adds what the writer prints, or what a reader prints otherwise. Empty lines at the end of a print do not count.
    pub fn insert(&mut self, writer: &str, reader: Option<&str>, text: &str) {
        let text = text.trim_end_matches('\n');
        assert!(
            !text.lines().any(|line| line.starts_with(MARK)),
            "a print looks like the beginning of another: {text}"
        );
        let name = hex::encode(&Sha256::digest(text)[..4]);
        let known = self.texts.entry(name.clone()).or_insert(text.to_owned());
        assert_eq!(known, text, "two prints have the name {name}");
        let pairing = (writer.to_owned(), reader.map(str::to_owned));
        self.lines.insert(pairing, name);
    }

    /// What a build printed, if there is a line of it.
    pub fn of(&self, writer: &str, reader: Option<&str>) -> Option<&str> {
        let pairing = (writer.to_owned(), reader.map(str::to_owned));
        let name = self.lines.get(&pairing)?;
        self.texts.get(name).map(String::as_str)
    }

    /// Who printed something, in order.
    pub fn pairings(&self) -> impl Iterator<Item = &Pairing> {
        self.lines.keys()
    }

    /// What these say of builds that did not run, and `ran` of those that did.
    pub fn merged(&self, has_run: impl Fn(&str) -> bool, ran: &Prints) -> Prints {
        let mut merged = ran.clone();
        for ((writer, reader), name) in &self.lines {
            if has_run(writer) && reader.as_deref().is_none_or(&has_run) {
                continue;
            }
            merged.insert(writer, reader.as_deref(), &self.texts[name]);
        }
        merged
    }
}

impl fmt::Display for Prints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((writer, reader), name) in &self.lines {
            match reader {
                Some(reader) => writeln!(f, "{writer} > {reader}: {name}")?,
                None => writeln!(f, "{writer}: {name}")?,
            }
        }
        for (name, text) in &self.texts {
            write!(f, "\n{MARK}{name}\n{text}\n")?;
        }
        Ok(())
    }
}
