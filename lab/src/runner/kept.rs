//! What earlier runs learnt of transitions, in the store. A run reads what is there when it begins, and writes a file of its own: runs
//! side by side do not meet.
//!
//! A file is eight bytes that say what it is, and then blocks. A block is two numbers (little-endian, 32 bits: how many ids it has, and
//! how long its contents are), the ids of all that is in it, and the contents: JSON, gzipped. It is written at once when a load is
//! through; of a run that is killed the last block may be cut off, and is left out.

mod machine;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::memory::Id;
use crate::catalog::BuildId;
use crate::observed::{Ran, State};
use crate::scenario::Outcome;
pub use machine::Machine;

/// What a file begins with. Files that begin otherwise are of another version of the lab.
const MAGIC: &[u8; 8] = b"iptlabM2";

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

/// What came of a burst, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptBurst {
    /// The key of the burst.
    pub key: Id,
    /// Whose commands it has; nobody's where surroundings are made or packets sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<BuildId>,
    /// The answer to each step that was done.
    pub answers: Vec<KeptAnswer>,
    /// What the kernel held afterwards.
    pub after: Option<Id>,
    /// Another time something else came of it: it is always run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_doubtful: bool,
}

/// An answer, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptAnswer {
    /// A command ended.
    Ran(Ran),
    /// The state of that id.
    Dumped(Id),
    /// The lane is empty.
    Reset,
    /// The lane is furnished, or cannot be.
    Furnished(Result<(), String>),
    /// What became of each packet.
    Probed(Vec<Outcome>),
}

/// What is written at once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Block {
    /// When it was learnt.
    pub learnt: Timestamp,
    /// What came of bursts.
    pub bursts: Vec<KeptBurst>,
    /// States that no block before has, with their ids.
    pub states: Vec<(Id, State)>,
}

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

impl Block {
    /// The block whose contents are there in a file.
    fn read(file: &File, at: u64, length: u32) -> io::Result<Block> {
        let mut packed = vec![0; length as usize];
        file.read_exact_at(&mut packed, at)?;
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    fn packed(&self) -> io::Result<Vec<u8>> {
        let keys = self.bursts.iter().map(|burst| burst.key);
        let ids: Vec<Id> = keys.chain(self.states.iter().map(|(id, _)| *id)).collect();
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        serde_json::to_writer(&mut packer, self)?;
        let contents = packer.finish()?;
        let long = |_| io::Error::other("more than 4 GB at once");
        let count = u32::try_from(ids.len()).map_err(long)?;
        let length = u32::try_from(contents.len()).map_err(long)?;
        let mut all = [count.to_le_bytes(), length.to_le_bytes()].concat();
        all.extend(ids.iter().flat_map(|id| id.bytes()));
        all.extend(contents);
        Ok(all)
    }
}

/// The head of a block.
struct Header {
    ids: Vec<Id>,
    /// Where its contents begin.
    contents: u64,
    length: u32,
}

impl Header {
    /// The head of the block at `at` of a file of `all` bytes; none where no whole block follows.
    fn read(file: &File, at: u64, all: u64) -> io::Result<Option<Header>> {
        if all < at + 8 {
            return Ok(None);
        }
        let (mut count, mut length) = ([0; 4], [0; 4]);
        file.read_exact_at(&mut count, at)?;
        file.read_exact_at(&mut length, at + 4)?;
        let (count, length) = (u32::from_le_bytes(count), u32::from_le_bytes(length));
        let contents = at + 8 + 32 * u64::from(count);
        if all < contents + u64::from(length) {
            return Ok(None);
        }
        let mut bytes = vec![0; 32 * count as usize];
        file.read_exact_at(&mut bytes, at + 8)?;
        let (ids, _) = bytes.as_chunks::<32>();
        Ok(Some(Header {
            ids: ids.iter().copied().map(Id::from_bytes).collect(),
            contents,
            length,
        }))
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

/// What is kept for one machine.
#[derive(Debug, Clone)]
pub struct Shelf {
    /// Which machine.
    pub machine: Machine,
    /// How many transitions.
    pub transitions: usize,
    /// How many bytes on disk.
    pub bytes: u64,
    /// When the oldest file was written last, and the newest.
    pub between: Option<(SystemTime, SystemTime)>,
    /// Where it is.
    folder: PathBuf,
}

/// What is kept in `folder`, machine by machine.
///
/// # Errors
/// Something cannot be read.
pub fn shelves(folder: &Path) -> io::Result<Vec<Shelf>> {
    let mut shelves = Vec::new();
    for entry in fs::read_dir(folder)? {
        let folder = entry?.path();
        let Ok(about) = fs::read(folder.join(MACHINE)) else {
            continue;
        };
        let Ok(machine) = serde_json::from_slice::<Machine>(&about) else {
            continue;
        };
        let files = files_of(&folder)?;
        let kept = Kept::open(folder.parent().unwrap_or(&folder), &machine)?;
        let times = || files.iter().map(|(_, of)| when(of));
        shelves.push(Shelf {
            machine,
            transitions: kept.places.len(),
            bytes: files.iter().map(|(_, of)| of.len()).sum(),
            between: times().min().zip(times().max()),
            folder,
        });
    }
    shelves.sort_by_key(|shelf: &Shelf| shelf.machine.name());
    Ok(shelves)
}

impl Shelf {
    /// How many transitions are known of each build.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn builds(&self) -> io::Result<BTreeMap<BuildId, usize>> {
        let mut builds = BTreeMap::new();
        for (path, _) in files_of(&self.folder)? {
            for block in Blocks::of(&path)? {
                let bursts = block?.bursts.into_iter();
                for build in bursts.filter_map(|burst| burst.build) {
                    *builds.entry(build).or_default() += 1;
                }
            }
        }
        Ok(builds)
    }

    /// Takes away what was written before `before`, of all builds or of those that are `named`. Returns how many bytes that were. What
    /// a living run writes stays.
    ///
    /// # Errors
    /// A file cannot be read, removed or written anew.
    pub fn clear(
        &self,
        before: Option<SystemTime>,
        named: Option<&dyn Fn(&BuildId) -> bool>,
    ) -> io::Result<u64> {
        let mut bytes = 0;
        for (path, of) in files_of(&self.folder)? {
            if before.is_some_and(|before| when(&of) >= before) {
                continue;
            }
            bytes += match named {
                Some(named) => without(&path, &of, named)?,
                None => {
                    remove(&path)?;
                    of.len()
                }
            };
        }
        Ok(bytes)
    }
}

/// Writes a file anew without the transitions of the builds that are `named`. Returns how many bytes it is shorter.
fn without(path: &Path, of: &fs::Metadata, named: &dyn Fn(&BuildId) -> bool) -> io::Result<u64> {
    // Who writes a file holds its lock.
    if File::open(path)?.try_lock().is_err() {
        return Ok(0);
    }
    let (mut anew, mut is_changed) = (MAGIC.to_vec(), false);
    for block in Blocks::of(path)? {
        let mut block = block?;
        let before = block.bursts.len();
        let is_named = |burst: &KeptBurst| burst.build.as_ref().is_some_and(named);
        block.bursts.retain(|burst| !is_named(burst));
        is_changed |= block.bursts.len() < before;
        // What others refer to stays: the states.
        if !block.bursts.is_empty() || !block.states.is_empty() {
            anew.extend(block.packed()?);
        }
    }
    if !is_changed {
        return Ok(0);
    }
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&anew)?;
    file.as_file().set_modified(when(of))?;
    file.persist(path)?;
    Ok(of.len().saturating_sub(anew.len() as u64))
}

/// The blocks of a file, in their order, up to what is cut off.
struct Blocks {
    file: File,
    at: u64,
    all: u64,
}

impl Blocks {
    fn of(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let all = file.metadata()?.len();
        let at = begin(&file)?;
        Ok(Blocks { file, at, all })
    }
}

impl Iterator for Blocks {
    type Item = io::Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        let header = match Header::read(&self.file, self.at, self.all) {
            Ok(header) => header?,
            Err(error) => return Some(Err(error)),
        };
        self.at = header.contents + u64::from(header.length);
        Some(Block::read(&self.file, header.contents, header.length))
    }
}

/// Where the first block of a file is.
///
/// # Errors
/// It is no file of this version of the lab.
fn begin(file: &File) -> io::Result<u64> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact_at(&mut magic, 0)?;
    match magic == *MAGIC {
        true => Ok(MAGIC.len() as u64),
        false => Err(io::Error::other(
            "it has no transitions of this version of the lab; `iptables-lab memory clear` removes it",
        )),
    }
}

/// Takes the oldest files of all machines away until no more than `limit` bytes are left.
///
/// # Errors
/// A file cannot be removed.
pub fn tidy(folder: &Path, limit: u64) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let files = files_of(&entry?.path())?;
        let surplus = files.len().saturating_sub(MOST_FILES);
        for (path, _) in &files[..surplus] {
            remove(path)?;
        }
        all.extend(files.into_iter().skip(surplus));
    }
    all.sort_by_key(|(path, of)| (when(of), path.clone()));
    let mut bytes: u64 = all.iter().map(|(_, of)| of.len()).sum();
    for (path, of) in all {
        if bytes <= limit {
            break;
        }
        remove(&path)?;
        bytes -= of.len();
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
