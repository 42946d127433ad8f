//! What was run: the builds of the report, and every pairing of their backends with the least rules.

use std::fmt::Write;

use super::super::markdown::escape;
use super::super::terminal::sign;
use super::super::wording;
use super::Evidence;
use crate::catalog::{Build, BuildId};

pub(super) fn versions(evidence: &Evidence<'_>) -> String {
    let matrix = evidence.matrix;
    let mut text = "## Versions\n\n| | build | `--version` | made by | libnftnl | root filesystem |\n|---|---|---|---|---|---|\n".to_owned();
    for (role, build) in [("writer", evidence.writer), ("reader", evidence.reader)] {
        let _ = writeln!(
            text,
            "| {role} | {} | {} | {} | {} | sha256 {} |",
            build.id,
            escape(&build.banner),
            build.origin.as_str(),
            build.libnftnl.as_deref().unwrap_or("unknown"),
            build.digest.short()
        );
    }
    let host = &matrix.host;
    let _ = writeln!(
        text,
        "\nLinux {} ({}); engine: {}; iptables-lab {}; {}.\n",
        escape(&host.kernel),
        escape(&host.arch),
        escape(&host.engine),
        matrix.lab.version,
        matrix.started.strftime("%Y-%m-%d %H:%M UTC")
    );
    if let Some(source) = &evidence.found_in.source {
        let _ = writeln!(
            text,
            "The rule is from {} {}: <{}>\n",
            escape(&source.project),
            escape(&source.version),
            source.url.replace(['<', '>', ' ', '\n'], "")
        );
    }
    text
}

/// Every writer and reader of the two backends, with the least rules.
pub(super) fn pairings(evidence: &Evidence<'_>) -> String {
    let Evidence {
        matrix,
        loss,
        writer,
        reader,
        ..
    } = evidence;
    let alike = |builds: Vec<&Build>, like: &Build| -> Vec<BuildId> {
        let alike = builds
            .into_iter()
            .filter(|of| of.tool == like.tool && of.backend == like.backend);
        alike.map(|build| build.id.clone()).collect()
    };
    let writers = alike(matrix.writers(), writer);
    let readers = alike(matrix.readers(), reader);
    let mut text = "## All pairings with these rules\n\nWriters down, readers across. **X**: this loss is there.\n\n|".to_owned();
    for reader in &readers {
        let _ = write!(text, " | {reader}");
    }
    let _ = writeln!(text, " |\n|---{}|", "|:-:".repeat(readers.len()));
    let mut signs = Vec::new();
    for writer in &writers {
        let _ = write!(text, "| {writer}");
        for reader in &readers {
            let mut cells = matrix.cells.iter();
            let cell = cells.find(|cell| &cell.writer == writer && &cell.reader == reader);
            let shown = match cell {
                Some(cell) if loss.shown_by(cell).is_some() => "**X**".to_owned(),
                Some(cell) => {
                    if !signs.contains(&cell.verdict) {
                        signs.push(cell.verdict);
                    }
                    format!("`{}`", sign(cell.verdict))
                }
                None => String::new(),
            };
            let _ = write!(text, " | {shown}");
        }
        text.push_str(" |\n");
    }
    signs.sort_by_key(|verdict| verdict.severity());
    text.push('\n');
    for verdict in signs {
        let _ = writeln!(
            text,
            "- `{}` {verdict}: {}",
            sign(verdict),
            wording::verdict_meaning(verdict)
        );
    }
    let missing = matrix.missing.iter().filter(|missing| {
        let id = missing.id.as_str();
        [writer, reader]
            .iter()
            .any(|of| id.ends_with(of.backend.as_str()))
    });
    for (reason, ids) in super::super::by_reason(missing) {
        let _ = writeln!(text, "- not run: {}: {}", ids.join(", "), escape(reason));
    }
    text.push('\n');
    text
}
