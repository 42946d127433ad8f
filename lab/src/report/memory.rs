//! What earlier runs learnt, as a table.

use std::time::SystemTime;

use jiff::Timestamp;

use crate::runner::kept::Shelf;

/// What is kept, a machine a line.
pub fn render(shelves: &[Shelf]) -> String {
    let mut text = String::new();
    for shelf in shelves {
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
    }
    text
}

fn day(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}
