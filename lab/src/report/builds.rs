//! The builds as a table: id, version, backend, origin, digest; below it those that cannot be had, and why.

use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::{Padding, Style as Borders};

use super::by_reason;
use super::terminal::{ASIDE, HEADING, inert, paint, style, wrap};
use crate::catalog::{Build, BuildId, Image, Missing, Version};
use crate::judge::verdict::Verdict;

/// What is known of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// It is made.
    Built(Box<Build>),
    /// Nobody has asked for the builds of this image yet.
    NotBuilt(Box<Image>),
    /// It was tried and cannot be had.
    Missing(Missing),
}

/// The rows, one build each; what is missing follows, once a reason, in lines of at most `width` columns.
pub fn render(rows: &[Row], width: usize) -> String {
    let mut builder = Builder::default();
    let columns = [
        "id", "version", "backend", "origin", "libnftnl", "digest", "state",
    ];
    builder.push_record(columns.map(|name| paint(HEADING, name)));
    let mut missing = Vec::new();
    for row in rows {
        match row {
            Row::Built(build) => builder.push_record(built(build)),
            Row::NotBuilt(image) => not_built(image).for_each(|row| builder.push_record(row)),
            Row::Missing(build) => missing.push(build),
        }
    }
    let mut page = String::new();
    if missing.len() < rows.len() {
        let mut table = builder.build();
        table.with(Borders::blank()).with(Padding::new(0, 1, 0, 0));
        for line in table.to_string().lines() {
            let _ = writeln!(page, "{}", line.trim_end());
        }
    }
    for (reason, ids) in by_reason(missing) {
        let blank = if page.is_empty() { "" } else { "\n" };
        let heading = format!("missing ({})", ids.len());
        let _ = writeln!(page, "{blank}{}", paint(style(Verdict::Refused), heading));
        let _ = write!(page, "{}", indented(&ids.join(", "), width));
        let _ = write!(page, "{}", indented(&inert(reason), width));
    }
    page
}

/// What cannot be had here, in one line; the reasons are in the list of builds. None where nothing is missing.
pub fn not_available(missing: &[Missing]) -> Option<String> {
    let mut images: Vec<&str> = missing.iter().map(|missing| missing.id.image()).collect();
    images.sort_by_key(|image| Version::new(*image));
    images.dedup();
    let is_release = |image: &&str| image.starts_with(|first: char| first.is_ascii_digit());
    let what = match (images.iter().all(is_release), images.len()) {
        (_, 0) => return None,
        (true, 1) => "release",
        (true, _) => "releases",
        (false, 1) => "image",
        (false, _) => "images",
    };
    Some(format!(
        "{} {what} not available here: {}; see `iptables-lab builds`",
        images.len(),
        images.join(", ")
    ))
}

fn built(build: &Build) -> [String; 7] {
    [
        build.id.to_string(),
        build.version.to_string(),
        build.backend.to_string(),
        build.origin.to_string(),
        build.libnftnl.clone().unwrap_or_default(),
        build.digest.short().to_owned(),
        paint(style(Verdict::Same), "built"),
    ]
}

fn not_built(image: &Image) -> impl Iterator<Item = [String; 7]> {
    image.backends.iter().map(|&backend| {
        let version = image.version.as_ref();
        [
            BuildId::of_tool(image.tool, &image.name, backend).to_string(),
            version.map(ToString::to_string).unwrap_or_default(),
            backend.to_string(),
            image.origin.to_string(),
            String::new(),
            String::new(),
            paint(ASIDE, "not built yet"),
        ]
    })
}

/// `text` in indented lines.
fn indented(text: &str, width: usize) -> String {
    let lines = wrap(text, width.saturating_sub(2)).into_iter();
    lines.map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Backend, Catalog, Source};

    fn missing(id: &str, reason: &str) -> Row {
        Row::Missing(Missing {
            id: BuildId::new(id, Backend::Nft),
            reason: reason.to_owned(),
        })
    }

    fn plain(rows: &[Row], width: usize) -> String {
        anstream::adapter::strip_str(&render(rows, width)).to_string()
    }

    #[test]
    fn what_is_missing_for_the_same_reason_is_told_once() -> Result<(), Box<dyn std::error::Error>>
    {
        let image = Image {
            source: Source::Host,
            ..Catalog::load(&[])?.images.remove(0)
        };
        let rows = [
            missing("1.8.4", "its tarball is nowhere"),
            Row::NotBuilt(Box::new(image)),
            missing("debian-sid", "apt fails"),
            missing("1.8.10", "its tarball is nowhere"),
        ];
        insta::assert_snapshot!(plain(&rows, 40));
        Ok(())
    }

    #[test]
    fn lines_are_as_wide_as_asked_and_have_no_blanks_at_their_end() {
        let ids: Vec<String> = (4..14).map(|minor| format!("1.8.{minor}")).collect();
        let rows: Vec<Row> = ids
            .iter()
            .map(|id| missing(id, "one reason in a few words that is too long for a line"))
            .collect();
        for line in plain(&rows, 40).lines() {
            assert!(line.len() <= 40 && line == line.trim_end(), "{line:?}");
        }
    }
}
