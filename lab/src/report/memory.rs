//! What earlier runs learnt, as a table.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::catalog::BuildId;
use crate::runner::kept::Shelf;

/// What is kept, machine by machine, and of each build where that was counted.
pub fn render(shelves: &[Shelf], builds: &[BTreeMap<BuildId, usize>]) -> String {
    let mut text = String::new();
    for (place, shelf) in shelves.iter().enumerate() {
        let machine = &shelf.machine;
        let since = shelf
            .between
            .map(|(oldest, newest)| format!(", {} to {}", day(oldest), day(newest)));
        text.push_str(&format!(
            "{} transitions and states, {:.2} MB{}\n  Linux {} {}, {} as {}\n",
            shelf.transitions,
            shelf.bytes as f64 / 1e6,
            since.unwrap_or_default(),
            machine.kernel,
            machine.architecture,
            machine.engine,
            machine.privilege,
        ));
        for (build, transitions) in builds.get(place).into_iter().flatten() {
            text.push_str(&format!("  {transitions:>9} {build}\n"));
        }
    }
    text
}

fn day(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}
