//! What acts on a packet, or keeps count of it: verdicts, limits, logs, translations.

use super::wording::{append, bits, data, family, named, registers};
use crate::agent::kernel::attributes::Attributes;

/// `enum nft_immediate_attributes`.
pub(super) fn immediate(a: &mut Attributes) -> Option<String> {
    let target = a.be32(1)?;
    Some(format!("reg {target} {}", data(a, 2)?))
}

/// `enum nft_counter_attributes`: bytes and packets change with every packet.
pub(super) fn counter(a: &mut Attributes) -> Option<String> {
    a.ignore(&[1, 2, 3]);
    Some(String::new())
}

/// `enum nft_last_attributes`: whether and when it was last met.
pub(super) fn last(a: &mut Attributes) -> Option<String> {
    a.ignore(&[1, 2, 3]);
    Some(String::new())
}

/// `enum nft_quota_attributes`, without what is consumed and without `NFT_QUOTA_F_DEPLETED`, which follows from it.
pub(super) fn quota(a: &mut Attributes) -> Option<String> {
    const DEPLETED: u32 = 1 << 1;
    let (bytes, flags) = (a.be64(1)?, a.be32(2)?);
    a.ignore(&[3, 4]);
    Some(format!("bytes {bytes} flags {}", flags & !DEPLETED))
}

/// `enum nft_connlimit_attributes`.
pub(super) fn connlimit(a: &mut Attributes) -> Option<String> {
    let (count, flags) = (a.be32(1)?, a.be32(2)?);
    Some(format!("count {count} flags {flags:x}"))
}

/// `enum nft_limit_attributes`, with the units of libnftnl's `get_time`.
pub(super) fn limit(a: &mut Attributes) -> Option<String> {
    let (rate, unit, burst) = (a.be64(1)?, a.be64(2)?, a.be32(3)?);
    let (kind, flags) = (named(&["packets", "bytes"], a.be32(4)?), a.be32(5)?);
    a.ignore(&[6]);
    Some(format!(
        "rate {rate}/{} burst {burst} type {kind} flags {flags:#x}",
        period(unit)
    ))
}

fn period(mut seconds: u64) -> String {
    let mut unit = "second";
    for (size, larger) in [(60, "minute"), (60, "hour"), (24, "day"), (7, "week")] {
        if seconds == 0 || !seconds.is_multiple_of(size) {
            break;
        }
        seconds /= size;
        unit = larger;
    }
    if seconds == 1 {
        unit.to_owned()
    } else {
        format!("{seconds} {unit}")
    }
}

/// `enum nft_dynset_attributes`. The kernel sends one expression alone, several as a list (`nft_dynset_dump`).
pub(super) fn dynset(a: &mut Attributes) -> Option<String> {
    let set = a.word(1)?;
    let operation = named(&["add", "update", "delete"], a.be32(3)?);
    let mut line = format!("{operation} reg_key {} set {set}", a.be32(4)?);
    append(
        &mut line,
        a.be32(5).map(|source| format!("sreg_data {source}")),
    );
    append(
        &mut line,
        a.be64(6).map(|timeout| format!("timeout {timeout}ms")),
    );
    append(
        &mut line,
        a.be32(9).map(|flags| format!("flags {flags:#x}")),
    );
    append(
        &mut line,
        a.take(7, |expression| {
            Some(format!("expr [ {} ]", super::print(expression).ok()?))
        }),
    );
    append(
        &mut line,
        a.take(10, |list| {
            Some(format!(
                "exprs [ {} ]",
                super::print_list(list).ok()?.join(" ] [ ")
            ))
        }),
    );
    a.ignore(&[8]);
    Some(line)
}

/// `enum nft_objref_attributes`.
pub(super) fn objref(a: &mut Attributes) -> Option<String> {
    match a.be32(3) {
        Some(source) => Some(format!("sreg {source} set {}", a.word(4)?)),
        None => Some(format!("type {} name {}", a.be32(1)?, a.word(2)?)),
    }
}

/// `enum nft_offload_attributes`.
pub(super) fn flow_offload(a: &mut Attributes) -> Option<String> {
    Some(format!("flowtable {}", a.word(1)?))
}

/// `enum nft_log_attributes`. libnftnl prints `snaplen 0` where there is none; for the kernel these are two things
/// (`NF_LOG_F_COPY_LEN`).
pub(super) fn log(a: &mut Attributes) -> Option<String> {
    const FLAGS: [&str; 6] = ["tcpseq", "tcpopt", "ipopt", "uid", "nflog", "macdecode"];
    let mut line = String::new();
    append(
        &mut line,
        a.word(2).map(|prefix| format!("prefix {prefix}")),
    );
    append(&mut line, a.be16(1).map(|group| format!("group {group}")));
    append(
        &mut line,
        a.be32(3).map(|length| format!("snaplen {length}")),
    );
    append(
        &mut line,
        a.be16(4).map(|threshold| format!("qthreshold {threshold}")),
    );
    append(&mut line, a.be32(5).map(|level| format!("level {level}")));
    append(&mut line, a.be32(6).map(|flags| bits(flags, &FLAGS)));
    Some(line)
}

/// `enum nft_nat_attributes`.
pub(super) fn nat(a: &mut Attributes) -> Option<String> {
    let (kind, nfproto) = (named(&["snat", "dnat"], a.be32(1)?), family(a.be32(2)?));
    let mut line = format!("{kind} {nfproto}");
    registers(
        &mut line,
        a,
        &[
            (3, "addr_min"),
            (4, "addr_max"),
            (5, "proto_min"),
            (6, "proto_max"),
        ],
    );
    append(
        &mut line,
        a.be32(7).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_masq_attributes`.
pub(super) fn masq(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    registers(&mut line, a, &[(2, "proto_min"), (3, "proto_max")]);
    append(
        &mut line,
        a.be32(1).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_redir_attributes`.
pub(super) fn redir(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    registers(&mut line, a, &[(1, "proto_min"), (2, "proto_max")]);
    append(
        &mut line,
        a.be32(3).map(|flags| format!("flags {flags:#x}")),
    );
    Some(line)
}

/// `enum nft_tproxy_attributes`.
pub(super) fn tproxy(a: &mut Attributes) -> Option<String> {
    let nfproto = a.be32(1)?;
    let mut line = if nfproto == 0 {
        String::new()
    } else {
        family(nfproto)
    };
    registers(&mut line, a, &[(2, "addr"), (3, "port")]);
    Some(line)
}

/// `enum nft_dup_attributes`.
pub(super) fn dup(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    append(
        &mut line,
        a.be32(1).map(|register| format!("sreg_addr {register}")),
    );
    append(
        &mut line,
        a.be32(2).map(|register| format!("sreg_dev {register}")),
    );
    Some(line)
}

/// `enum nft_fwd_attributes`.
pub(super) fn fwd(a: &mut Attributes) -> Option<String> {
    let mut line = format!("sreg_dev {}", a.be32(1)?);
    append(
        &mut line,
        a.be32(2).map(|register| format!("sreg_addr {register}")),
    );
    append(
        &mut line,
        a.be32(3).map(|nfproto| format!("nfproto {nfproto}")),
    );
    Some(line)
}

/// `enum nft_reject_attributes`; a TCP reset has no code.
pub(super) fn reject(a: &mut Attributes) -> Option<String> {
    let mut line = format!("type {}", a.be32(1)?);
    append(&mut line, a.u8(2).map(|code| format!("code {code}")));
    Some(line)
}

/// `enum nft_queue_attributes`.
pub(super) fn queue(a: &mut Attributes) -> Option<String> {
    let mut line = String::new();
    if let Some(first) = a.be16(1) {
        let total = a.be16(2).filter(|&total| total != 0)?;
        line = match total {
            1 => format!("num {first}"),
            more => format!("num {first}-{}", u32::from(first) + u32::from(more) - 1),
        };
    }
    append(
        &mut line,
        a.be32(4).map(|register| format!("sreg_qnum {register}")),
    );
    append(
        &mut line,
        a.be16(3)
            .filter(|&flags| flags != 0)
            .map(|flags| bits(flags.into(), &["bypass", "fanout"])),
    );
    Some(line)
}

/// `enum nft_synproxy_attributes`.
pub(super) fn synproxy(a: &mut Attributes) -> Option<String> {
    let (mss, scale, flags) = (a.be16(1)?, a.u8(2)?, a.be32(3)?);
    Some(format!("mss {mss} wscale {scale} flags {flags:#x}"))
}
