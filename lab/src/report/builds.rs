//! The builds as a table: id, version, backend, origin, digest; below it those that cannot be had, and why.

use std::collections::BTreeSet;
use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::{Padding, Style as Borders};

use super::by_reason;
use super::terminal::{ASIDE, HEADING, inert, paint, style, wrap};
use crate::catalog::{Build, BuildId, Image, Missing, Version};
use crate::judge::verdict::Verdict;
use crate::plan::WithoutBystander;

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

/// Why a scenario is not run with writers of a backend: nobody is there who could write one of its layers.
pub fn no_bystander(of: &WithoutBystander) -> String {
    let WithoutBystander {
        scenario,
        layer,
        tool,
        backend,
    } = of;
    format!(
        "{scenario} is not run with writers of backend {backend}: {tool} writes its layer {layer}, and no build of {tool} can be had"
    )
}

/// What cannot be had here, in one line; the reasons are in the list of builds. None where nothing is missing. A version of which
/// one backend is `available` is named with the other.
pub fn not_available<'a>(
    missing: &'a [Missing],
    available: impl IntoIterator<Item = &'a Build>,
) -> Option<String> {
    let available = available.into_iter().map(|build| build.id.image());
    let available: BTreeSet<&str> = available.collect();
    let is_there = |missing: &Missing| available.contains(missing.id.image());
    let name = |missing: &'a Missing| match is_there(missing) {
        true => missing.id.as_str(),
        false => missing.id.image(),
    };
    let mut names: Vec<&str> = missing.iter().map(name).collect();
    let is_package = |name: &str| !name.starts_with(|first: char| first.is_ascii_digit());
    names.sort_by_key(|name| (is_package(name), Version::new(*name)));
    names.dedup();
    let is_release = |missing: &Missing| {
        let image = missing.id.image();
        image.starts_with(|first: char| first.is_ascii_digit()) && !is_there(missing)
    };
    let what = match (missing.iter().all(is_release), names.len()) {
        (_, 0) => return None,
        (true, 1) => "release",
        (true, _) => "releases",
        (false, 1) => "build",
        (false, _) => "builds",
    };
    Some(format!(
        "{} {what} not available here: {}; see `iptables-lab builds`",
        names.len(),
        names.join(", ")
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
    use rstest::rstest;

    use std::path::Path;

    use super::*;
    use crate::catalog::{Backend, Catalog, Digest, Origin, Source, Tool};
    use crate::matrix::Matrix;
    use crate::recording;
    use crate::report::{junit, markdown, screen, table};

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

    #[rstest]
    #[case::releases(&["1.8.10-nft", "1.8.10-legacy", "1.8.4-nft"], "2 releases not available here: 1.8.4, 1.8.10")]
    #[case::packages(&["1.8.4-nft", "debian-sid-nft"], "2 builds not available here: 1.8.4, debian-sid")]
    #[case::one_backend(&["1.8.9-legacy"], "1 build not available here: 1.8.9-legacy")]
    fn what_cannot_be_had_is_one_line(
        #[case] missing: &[&str],
        #[case] words: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let missing: Vec<Missing> = missing
            .iter()
            .map(|id| Missing {
                id: BuildId::named(id),
                reason: "for some reason".to_owned(),
            })
            .collect();
        let digest: Digest = "0".repeat(64).parse()?;
        let there = Build {
            id: BuildId::named("1.8.9-nft"),
            version: Version::new("1.8.9"),
            tool: Tool::Iptables,
            backend: Backend::Nft,
            origin: Origin::Upstream,
            variant: None,
            key: digest.clone(),
            digest,
            libnftnl: None,
            banner: String::new(),
        };
        let said = not_available(&missing, [&there]);
        assert_eq!(said, Some(format!("{words}; see `iptables-lab builds`")));
        assert_eq!(not_available(&[], [&there]), None);
        Ok(())
    }

    #[test]
    fn every_report_names_a_scenario_that_nobody_was_there_to_write_a_layer_of()
    -> Result<(), Box<dyn std::error::Error>> {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/data/recordings/layers-by-debian-1.8.11.jsonl"
        );
        let mut recording = recording::read(Path::new(file))?.recording;
        recording.loads.clear();
        recording.head.without_bystander = vec![WithoutBystander {
            scenario: recording.head.scenarios[0].name.clone(),
            layer: 2,
            tool: Tool::Nft,
            backend: Backend::Nft,
        }];
        let matrix = Matrix::of(&recording);
        let said = "is not run with writers of backend nft: nft writes its layer 2";
        let reports = [
            table::render(&matrix, 300),
            screen::render(&matrix, 300),
            markdown::render(&matrix, 60_000),
            junit::render(&matrix)?,
        ];
        for report in reports {
            assert!(report.contains(said), "{report}");
        }
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
