//! The form of a file with transitions: eight bytes that say what it is, and then blocks. A block is two numbers (little-endian, 32
//! bits: how many ids it has, and how long its contents are), the ids of all that is in it, and the contents: JSON, gzipped.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::BuildId;
use crate::observed::{Ran, State};
use crate::runner::memory::Id;
use crate::scenario::Outcome;

/// What a file begins with. Files that begin otherwise are of another version of the lab.
pub(super) const MAGIC: &[u8; 8] = b"iptlabM2";

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

impl Block {
    /// The block whose contents are there in a file.
    pub(super) fn read(file: &File, at: u64, length: u32) -> io::Result<Block> {
        let mut packed = vec![0; length as usize];
        file.read_exact_at(&mut packed, at)?;
        let mut text = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(super) fn packed(&self) -> io::Result<Vec<u8>> {
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
pub(super) struct Header {
    pub(super) ids: Vec<Id>,
    /// Where its contents begin.
    pub(super) contents: u64,
    pub(super) length: u32,
}

impl Header {
    /// The head of the block at `at` of a file of `all` bytes; none where no whole block follows.
    pub(super) fn read(file: &File, at: u64, all: u64) -> io::Result<Option<Header>> {
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

/// The blocks of a file, in their order, up to what is cut off.
pub(super) struct Blocks {
    file: File,
    at: u64,
    all: u64,
}

impl Blocks {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
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
pub(super) fn begin(file: &File) -> io::Result<u64> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact_at(&mut magic, 0)?;
    match magic == *MAGIC {
        true => Ok(MAGIC.len() as u64),
        false => Err(io::Error::other(
            "it has no transitions of this version of the lab; `iptables-lab memory clear` removes it",
        )),
    }
}
