//! `publish`: the least form of a report, which is part of the binary.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use miette::miette;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::exit::{Exit, Failure, Or};
use crate::advice::{Published, PublishedBuilder};
use crate::catalog::Build;
use crate::judge::{Case, Cell, judge};
use crate::matrix::Lab;
use crate::plan::Operation;
use crate::recording::{self, Host};

#[derive(Args)]
pub struct PublishArgs {
    /// A recording (`matrix --record`), or a report (`--format json`).
    file: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE", default_value = "reports/losses.json.xz")]
    output: PathBuf,
}

pub fn run(args: &PublishArgs) -> Result<Exit, Failure> {
    let published = match is_recording(&args.file)? {
        true => of_recording(&args.file)?,
        false => of_report(&args.file)?,
    };
    let bytes = published.encode();
    let bytes = bytes
        .map_err(|error| miette!("{error}"))
        .or_exit(Exit::Fault)?;
    std::fs::write(&args.output, bytes)
        .map_err(|error| miette!("{} cannot be written: {error}", args.output.display()))
        .or_exit(Exit::Usage)?;
    Ok(Exit::Ran)
}

fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> miette::Report {
    miette!(
        help = "a recording is what `matrix --record` writes, a report what `--format json` does",
        "{} cannot be read: {error}",
        path.display()
    )
}

/// A recording begins with its format, a report with its own or with a line's end after the first brace.
fn is_recording(path: &Path) -> Result<bool, Failure> {
    let mut begin = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut begin));
    read.map_err(|error| cannot_read(path, &error))
        .or_exit(Exit::Usage)?;
    Ok(begin.starts_with(br#"{"recording""#))
}

fn of_recording(path: &Path) -> Result<Published, Failure> {
    let recording = recording::read(path).or_exit(Exit::Usage)?.recording;
    let head = &recording.head;
    let mut builder = PublishedBuilder::new(
        &head.lab,
        &head.host,
        head.started,
        &head.builds,
        &head.operations,
    );
    for load in &recording.loads {
        let scenario = head.scenarios.iter().find(|of| of.name == load.scenario);
        if let Some(scenario) = scenario {
            let case = Case {
                scenario,
                builds: &head.builds,
                operations: &head.operations,
            };
            judge(load, case).iter().for_each(|cell| builder.add(cell));
        }
    }
    Ok(builder.finish())
}

fn of_report(path: &Path) -> Result<Published, Failure> {
    let file = std::fs::File::open(path).map_err(|error| cannot_read(path, &error));
    let reader = std::io::BufReader::new(file.or_exit(Exit::Usage)?);
    let mut json = serde_json::Deserializer::from_reader(reader);
    json.deserialize_map(Report)
        .map_err(|error| cannot_read(path, &error))
        .or_exit(Exit::Usage)
}

/// Reads a report cell by cell: of a large run all cells together are the largest thing there.
struct Report;

impl<'de> Visitor<'de> for Report {
    type Value = Published;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a report, as `matrix --format json` writes it")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Published, A::Error> {
        let (mut lab, mut host, mut started): (Option<Lab>, Option<Host>, Option<Timestamp>) =
            Default::default();
        let (mut operations, mut builds): (Option<Vec<Operation>>, Option<Vec<Build>>) =
            Default::default();
        let mut builder = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "lab" => lab = Some(map.next_value()?),
                "host" => host = Some(map.next_value()?),
                "started" => started = Some(map.next_value()?),
                "operations" => operations = Some(map.next_value()?),
                "builds" => builds = Some(map.next_value()?),
                "cells" => {
                    let missing = <A::Error as de::Error>::missing_field;
                    let mut cells = PublishedBuilder::new(
                        &lab.take().ok_or_else(|| missing("lab"))?.version,
                        &host.take().ok_or_else(|| missing("host"))?,
                        started.take().ok_or_else(|| missing("started"))?,
                        &builds.take().ok_or_else(|| missing("builds"))?,
                        &operations.take().ok_or_else(|| missing("operations"))?,
                    );
                    map.next_value_seed(Cells(&mut cells))?;
                    builder = Some(cells);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let builder = builder.ok_or_else(|| de::Error::missing_field("cells"))?;
        Ok(builder.finish())
    }
}

/// Takes the cells of a report, one after the other.
struct Cells<'b>(&'b mut PublishedBuilder);

impl<'de> DeserializeSeed<'de> for Cells<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cells of a report")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<(), A::Error> {
        while let Some(cell) = cells.next_element::<Cell>()? {
            self.0.add(&cell);
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    /// A report that is read cell by cell comes to the same as the recording that it was judged from.
    #[test]
    fn a_report_and_its_recording_are_published_alike() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let recording = Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let matrix = Matrix::of(&recording::read(&recording).unwrap().recording);
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.json");
        std::fs::write(&report, serde_json::to_vec(&matrix).unwrap()).unwrap();
        let mut published = of_report(&report).unwrap();
        let expected = of_recording(&recording).unwrap();
        // The program that judged says who it is.
        published.lab.clone_from(&expected.lab);
        published.host.notes.clone_from(&expected.host.notes);
        assert!(published.damages().count() > 0);
        assert!(published == expected);
    }

    #[test]
    fn what_is_no_report_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        std::fs::write(&file, "{\"cells\": []}").unwrap();
        let failure = of_report(&file).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.report.to_string().contains("missing field `lab`"));
    }
}
