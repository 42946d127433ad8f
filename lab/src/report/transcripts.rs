//! What a recording adds to the matrix for reports that show it: what both builds of a cell print, and the commands.
//!
//! It is gathered load by load, so that no recording needs to be in memory. Pairings have most of it in common, so every
//! distinct text is kept once.

use std::collections::HashMap;
use std::sync::Arc;

use super::show::{both_prints, commands};
use crate::catalog::{BuildId, Family};
use crate::judge::Cell;
use crate::observed::Interner;
use crate::recording::LoadRecord;
use crate::scenario::Scenario;

/// What was seen of the cells, beside their verdicts.
#[derive(Debug, Default)]
pub struct Transcripts {
    /// The texts of all cells: each in memory once, as long as the reports of a run are made.
    texts: Interner<str>,
    cells: HashMap<Pairing, Transcript>,
}

/// Scenario, family, writer and reader.
type Pairing = (String, Family, BuildId, BuildId);

/// What was seen of one cell.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// What the writer and the reader print of the same kernel state; none where one of them was not asked.
    pub prints: Option<(Arc<str>, Arc<str>)>,
    /// The commands that show what happened to the rules, in order, with [`commands::STAND_INS`] for the images.
    pub commands: Vec<Arc<str>>,
    /// The witness, whose image the last of them stands for.
    pub witness: Option<BuildId>,
}

impl Transcripts {
    /// Gathers the transcripts of the cells that were judged from `load`.
    pub fn add(&mut self, load: &LoadRecord, scenario: &Scenario, cells: &[Cell]) {
        for cell in cells {
            let prints = both_prints(cell, load)
                .map(|(written, read)| (self.text(written), self.text(read)));
            let commands = commands::excerpt(cell, load, scenario).into_iter();
            let commands = commands.map(|piece| self.text(piece)).collect();
            let witness = commands::witness(cell, load).cloned();
            let transcript = Transcript {
                prints,
                commands,
                witness,
            };
            self.cells.insert(pairing(cell), transcript);
        }
    }

    /// What was seen of a cell.
    pub fn of(&self, cell: &Cell) -> Option<&Transcript> {
        self.cells.get(&pairing(cell))
    }

    fn text(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.texts.get(text.as_str()) {
            return known.clone();
        }
        let mut text: Arc<str> = text.into();
        self.texts.share(&mut text);
        text
    }
}

fn pairing(cell: &Cell) -> Pairing {
    (
        cell.scenario.clone(),
        cell.family,
        cell.writer.clone(),
        cell.reader.clone(),
    )
}
