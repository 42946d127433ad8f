//! Expressions that decide about a packet, or keep count of packets.

use std::fmt;

use super::number::{LimitKind, number};
use super::value::{Data, Register, part, read_bits, write_bits};
use super::words::Words;
use crate::observed::bytes::Name;
use crate::observed::cursor::Cursor;

/// `enum nft_immediate_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Immediate {
    /// What is set. A verdict is in register 0.
    pub to: Register,
    /// To what.
    pub data: Data,
}

impl Words for Immediate {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " reg {} {}", self.to, self.data)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" reg ")?;
        let to = Register::read(line)?;
        line.text(" ")?;
        let data = Data::read(line)?;
        Some(Immediate { to, data })
    }
}

/// `enum nft_quota_attributes`, without what is consumed and without `NFT_QUOTA_F_DEPLETED`, which follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many bytes may pass.
    pub bytes: u64,
    /// `enum nft_quota_flags`: whether it matches before or after.
    pub flags: u32,
}

impl Words for Quota {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " bytes {} flags {}", self.bytes, self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" bytes ")?;
        let bytes = line.number()?;
        line.text(" flags ")?;
        let flags = line.number()?;
        Some(Quota { bytes, flags })
    }
}

/// `enum nft_connlimit_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Connlimit {
    /// How many connections there may be.
    pub count: u32,
    /// `enum nft_connlimit_flags`: whether it matches up to there, or from there on.
    pub flags: u32,
}

impl Words for Connlimit {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " count {} flags {:x}", self.count, self.flags)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" count ")?;
        let count = line.number()?;
        line.text(" flags ")?;
        let flags = line.digits()?;
        Some(Connlimit { count, flags })
    }
}

/// `enum nft_limit_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How many there may be in a period.
    pub rate: u64,
    /// How long a period is, in seconds.
    pub period: u64,
    /// How many there may be at once.
    pub burst: u32,
    /// Of what.
    pub kind: LimitKind,
    /// `enum nft_limit_flags`: whether it matches up to there, or from there on.
    pub flags: u32,
}

impl Limit {
    /// The units of libnftnl's `get_time`, each with how many of it make the next.
    const UNITS: [(&str, u64); 5] = [
        ("second", 60),
        ("minute", 60),
        ("hour", 24),
        ("day", 7),
        ("week", u64::MAX),
    ];

    fn write_period(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut count = self.period;
        let mut units = Self::UNITS.iter();
        let whole = |count: u64, size: u64| count != 0 && count.is_multiple_of(size);
        let unit = units.find(|(_, size)| {
            let next = whole(count, *size);
            if next {
                count /= size;
            }
            !next
        });
        let (unit, _) = unit.unwrap_or(&Self::UNITS[0]);
        match count {
            1 => f.write_str(unit),
            _ => write!(f, "{count} {unit}"),
        }
    }

    fn read_period(line: &mut Cursor<'_>) -> Option<u64> {
        let counted = line.attempt(|line| {
            let count = line.number::<u64>()?;
            line.text(" ")?;
            Some(count)
        });
        let name = line.word();
        let place = Self::UNITS.iter().position(|(unit, _)| *unit == name)?;
        let smaller = Self::UNITS[..place].iter().map(|(_, size)| size);
        counted.unwrap_or(1).checked_mul(smaller.product())
    }
}

impl Words for Limit {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " rate {}/", self.rate)?;
        self.write_period(f)?;
        let (burst, kind, flags) = (self.burst, self.kind, self.flags);
        write!(f, " burst {burst} type {kind} flags {flags:#x}")
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" rate ")?;
        let rate = line.number()?;
        line.text("/")?;
        let period = Self::read_period(line)?;
        line.text(" burst ")?;
        let burst = line.number()?;
        line.text(" type ")?;
        let kind = number(line)?;
        line.text(" flags 0x")?;
        let flags = line.digits()?;
        Some(Limit {
            rate,
            period,
            burst,
            kind,
            flags,
        })
    }
}

/// `enum nft_log_attributes`. libnftnl prints `snaplen 0` where there is none; for the kernel these are two things
/// (`NF_LOG_F_COPY_LEN`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Log {
    /// What every message begins with.
    pub prefix: Option<Name>,
    /// The group of listeners that get the packets.
    pub group: Option<u16>,
    /// How many bytes of a packet they get.
    pub snaplen: Option<u32>,
    /// How many packets they get at once.
    pub qthreshold: Option<u16>,
    /// `enum nft_log_level`.
    pub level: Option<u32>,
    /// `NF_LOG_*`: what is told of a packet.
    pub flags: Option<u32>,
}

impl Log {
    const FLAGS: [&str; 6] = ["tcpseq", "tcpopt", "ipopt", "uid", "nflog", "macdecode"];
}

impl Words for Log {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " prefix ", self.prefix.as_ref())?;
        part(f, " group ", self.group)?;
        part(f, " snaplen ", self.snaplen)?;
        part(f, " qthreshold ", self.qthreshold)?;
        part(f, " level ", self.level)?;
        match self.flags {
            Some(flags) => write_bits(f, flags, &Self::FLAGS),
            None => Ok(()),
        }
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        Some(Log {
            prefix: line.after(" prefix ", Cursor::name)?,
            group: line.after(" group ", Cursor::number)?,
            snaplen: line.after(" snaplen ", Cursor::number)?,
            qthreshold: line.after(" qthreshold ", Cursor::number)?,
            level: line.after(" level ", Cursor::number)?,
            flags: read_bits(line, &Self::FLAGS),
        })
    }
}

/// `enum nft_reject_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reject {
    /// `enum nft_reject_types`.
    pub kind: u32,
    /// The code of the ICMP message; a TCP reset has none.
    pub code: Option<u8>,
}

impl Words for Reject {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " type {}", self.kind)?;
        part(f, " code ", self.code)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        line.text(" type ")?;
        let kind = line.number()?;
        let code = line.after(" code ", Cursor::number)?;
        Some(Reject { kind, code })
    }
}

/// `enum nft_queue_attributes`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Queue {
    /// The queues' numbers.
    pub numbers: Option<QueueNumbers>,
    /// The register that has the queue's number.
    pub from: Option<Register>,
    /// `NFT_QUEUE_FLAG_*`.
    pub flags: u16,
}

/// The numbers of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueueNumbers {
    /// The first of them.
    pub first: u16,
    /// How many there are, one at least.
    pub total: u16,
}

impl QueueNumbers {
    fn last(self) -> u32 {
        (u32::from(self.first) + u32::from(self.total)).saturating_sub(1)
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let first = line.number::<u16>()?;
        let last = line.after("-", Cursor::number::<u32>)?;
        let total = last.map_or(Some(1), |last| {
            last.checked_add(1)?.checked_sub(u32::from(first))
        });
        Some(QueueNumbers {
            first,
            total: u16::try_from(total?).ok()?,
        })
    }
}

impl fmt::Display for QueueNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            1 => self.first.fmt(f),
            _ => write!(f, "{}-{}", self.first, self.last()),
        }
    }
}

impl Queue {
    const FLAGS: [&str; 2] = ["bypass", "fanout"];
}

impl Words for Queue {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        part(f, " num ", self.numbers)?;
        part(f, " sreg_qnum ", self.from)?;
        match self.flags {
            0 => Ok(()),
            flags => write_bits(f, flags.into(), &Self::FLAGS),
        }
    }

    fn read(line: &mut Cursor<'_>) -> Option<Self> {
        let numbers = line.after(" num ", QueueNumbers::read)?;
        let from = line.after(" sreg_qnum ", Register::read)?;
        let flags = read_bits(line, &Self::FLAGS).unwrap_or(0);
        Some(Queue {
            numbers,
            from,
            flags: u16::try_from(flags).ok()?,
        })
    }
}
