//! What earlier runs learnt of transitions, in the store. A run reads what is there when it begins, and writes a file of its own: runs
//! side by side do not meet.
//!
//! A block is written at once when a load is through; of a run that is killed the last one may be cut off, and is left out.

mod block;
mod machine;
mod shelf;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;

use super::memory::Id;
use crate::observed::State;
pub use block::{Block, KeptAnswer, KeptBurst};
use block::{Header, MAGIC, begin};
pub use machine::Machine;
pub use shelf::{Shelf, shelves, tidy};

/// How a file's name ends.
const ENDING: &str = "transitions";

/// What says for which machine a folder's transitions are.
const MACHINE: &str = "machine.json";

/// How many bytes of texts may wait to be written.
const MOST_UNWRITTEN: usize = 4 << 20;

/// About how many bytes a state has as JSON.
const ABOUT_A_STATE: usize = 8 << 10;

/// How many files a folder has at most: each run that learns something adds one.
const MOST_FILES: usize = 200;

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Among the files that are read.
    file: usize,
    /// Where its contents begin.
    at: u64,
    /// How long they are.
    length: u32,
}

/// What earlier runs learnt on a machine like this, and what this one adds.
pub struct Kept {
    /// The machine's.
    folder: PathBuf,
    files: Vec<(PathBuf, File)>,
    /// Where what is.
    places: HashMap<Id, Place>,
    own: Mutex<Own>,
}

/// What this run adds.
#[derive(Default)]
struct Own {
    file: Option<(PathBuf, File)>,
    /// States that it has written or will.
    states: std::collections::HashSet<Id>,
    /// What is not written yet.
    block: Block,
    /// How many bytes of texts that has, about.
    bytes: usize,
    /// What went wrong, once each.
    troubles: Vec<String>,
    /// How many of these were said.
    said: usize,
    /// Nothing is written any more.
    is_over: bool,
}

impl Kept {
    /// What is kept in `folder` for `machine`. What cannot be read is left out, and is said by [`Kept::troubles`].
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: &Path, machine: &Machine) -> io::Result<Kept> {
        let folder = folder.join(machine.name());
        fs::create_dir_all(&folder)?;
        let about = folder.join(MACHINE);
        if !about.exists() {
            fs::write(&about, machine.to_json())?;
        }
        let mut kept = Kept {
            files: Vec::new(),
            places: HashMap::new(),
            own: Mutex::default(),
            folder,
        };
        for (path, _) in files_of(&kept.folder)? {
            match kept.read_places(&path) {
                Ok(()) => {}
                // Another run has tidied it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => kept.note(format!("{}: {error}", path.display())),
            }
        }
        Ok(kept)
    }

    /// Notes where what is in a file.
    fn read_places(&mut self, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        let all = file.metadata()?.len();
        let (mut at, place) = (begin(&file)?, self.files.len());
        while let Some(header) = Header::read(&file, at, all)? {
            let contents = Place {
                file: place,
                at: header.contents,
                length: header.length,
            };
            // What was learnt last counts.
            let known = header.ids.into_iter().map(|id| (id, contents));
            self.places.extend(known);
            at = header.contents + u64::from(header.length);
        }
        // Who writes a file holds its lock.
        if at != all && file.try_lock().is_ok() {
            self.note(format!(
                "{}: its end is cut off or damaged, and is taken away",
                path.display()
            ));
            File::options().write(true).open(path)?.set_len(at)?;
            file.unlock()?;
        }
        self.files.push((path.to_owned(), file));
        Ok(())
    }

    /// The block that has a burst or a state; none where there is none or it cannot be read.
    pub fn block_with(&self, id: Id) -> Option<Block> {
        let place = *self.places.get(&id)?;
        let (path, file) = self.files.get(place.file)?;
        match Block::read(file, place.at, place.length) {
            Ok(block) => Some(block),
            Err(error) => {
                let said = format!("{}, byte {}: {error}", path.display(), place.at);
                self.note(said);
                None
            }
        }
    }

    /// Whether what counts of two bursts is in one block.
    pub fn is_in_the_block_of(&self, one: Id, other: Id) -> bool {
        self.places.get(&one) == self.places.get(&other)
    }

    /// Keeps what came of a burst. `state` gives the states that it speaks of.
    pub fn keep(&self, burst: KeptBurst, state: impl Fn(Id) -> Option<Arc<State>>) {
        let mut own = self.own();
        if own.is_over || (self.places.contains_key(&burst.key) && !burst.is_doubtful) {
            return;
        }
        for answer in &burst.answers {
            match answer {
                KeptAnswer::Dumped(id)
                    if !self.places.contains_key(id) && !own.states.contains(id) =>
                {
                    let Some(state) = state(*id) else { return };
                    own.states.insert(*id);
                    own.bytes += ABOUT_A_STATE;
                    own.block.states.push((*id, State::clone(&state)));
                }
                KeptAnswer::Ran(ran) => {
                    own.bytes += ran.stdout.bytes().len() + ran.stderr.bytes().len();
                }
                _ => {}
            }
        }
        own.block.bursts.push(burst);
        if own.bytes > MOST_UNWRITTEN {
            self.write(&mut own);
        }
    }

    /// Writes what is not written yet.
    pub fn flush(&self) {
        self.write(&mut self.own());
    }

    fn write(&self, own: &mut Own) {
        let mut block = std::mem::take(&mut own.block);
        own.bytes = 0;
        if block.bursts.is_empty() || own.is_over {
            return;
        }
        block.learnt = Timestamp::now();
        if let Err((path, error)) = self.append(own, &block) {
            own.is_over = true;
            own.troubles.push(format!(
                "{}: {error}; what this run learns is not kept",
                path.display()
            ));
        }
    }

    fn append(&self, own: &mut Own, block: &Block) -> Result<(), (PathBuf, io::Error)> {
        let (path, file) = match &mut own.file {
            Some((path, file)) => (path, file),
            none => {
                let name = format!(
                    "{}-{}.{ENDING}",
                    Timestamp::now().as_millisecond(),
                    std::process::id()
                );
                let path = self.folder.join(name);
                let begun = File::create_new(&path).and_then(|mut file| {
                    file.lock()?;
                    file.write_all(MAGIC)?;
                    Ok(file)
                });
                let file = begun.map_err(|error| (path.clone(), error))?;
                let (path, file) = none.insert((path, file));
                (path, file)
            }
        };
        let written = block.packed().and_then(|packed| file.write_all(&packed));
        written.map_err(|error| (path.clone(), error))
    }

    fn note(&self, trouble: String) {
        let troubles = &mut self.own().troubles;
        if !troubles.contains(&trouble) {
            troubles.push(trouble);
        }
    }

    /// What went wrong since this was asked last: what could not be read is run anew, what could not be written is not kept.
    pub fn troubles(&self) -> Vec<String> {
        let mut own = self.own();
        let new = own.troubles[own.said..].to_vec();
        own.said = own.troubles.len();
        new
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files with transitions in a folder, the oldest first.
fn files_of(folder: &Path) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING)
            && let Ok(of) = fs::metadata(&path)
        {
            files.push((path, of));
        }
    }
    files.sort_by_key(|(path, of)| (when(of), path.clone()));
    Ok(files)
}

fn when(of: &fs::Metadata) -> SystemTime {
    of.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}
