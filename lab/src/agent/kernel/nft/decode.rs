//! What the kernel sent, put together: tables with their chains, rules, sets and objects.

use foldhash::HashMap;
use nix::libc;

use super::{NFTABLES, kind, split};
use crate::agent::kernel::attributes::{Attributes, hex, without_nul};
use crate::agent::kernel::decoded::DecodedRules;
use crate::agent::kernel::error::KernelError;
use crate::agent::kernel::expression;
use crate::agent::kernel::netlink::messages;
use crate::observed::expression::ProtocolFamily;
use crate::observed::{Name, NftChain, NftHook, NftRule, NftSet, NftTable, plain};

/// A table's family and name, and the name of a chain or set in it, if it is one.
type Key<'a> = (u8, &'a [u8], &'a [u8]);

/// The tables being put together, and where each chain and set of the answer is in them.
#[derive(Default)]
struct Decoder<'a> {
    tables: Vec<NftTable>,
    table_at: HashMap<(u8, &'a [u8]), usize>,
    chain_at: HashMap<Key<'a>, (usize, usize)>,
    set_at: HashMap<Key<'a>, (usize, usize)>,
}

/// Decodes what [`super::read`] returns; rules that are `decoded` already are not decoded anew.
pub(in crate::agent::kernel) fn decode(
    answer: &[u8],
    decoded: &mut DecodedRules<NftRule>,
) -> Result<Vec<NftTable>, KernelError> {
    let mut decoder = Decoder::default();
    for message in messages(answer) {
        let message = message?;
        let (family, _, attributes) = split(message.body)?;
        let attributes = Attributes::parse(attributes)?;
        match message.kind.wrapping_sub(NFTABLES) {
            kind::NEW_TABLE => decoder.table(family, attributes)?,
            kind::NEW_CHAIN => decoder.chain(family, attributes)?,
            kind::NEW_RULE => decoder.rule(family, attributes, decoded)?,
            kind::NEW_SET => decoder.set(family, attributes)?,
            kind::NEW_ELEMENTS => decoder.elements(family, attributes)?,
            kind::NEW_OBJECT => decoder.object(family, attributes)?,
            kind::NEW_FLOWTABLE => decoder.flowtable(family, attributes)?,
            _ => return Err(KernelError::Malformed("known nf_tables message")),
        }
    }
    for set in decoder.tables.iter_mut().flat_map(|table| &mut table.sets) {
        set.elements.sort();
    }
    Ok(decoder.tables)
}

impl<'a> Decoder<'a> {
    /// `enum nft_table_attributes`. Left out: use count, handle, and the owner's port, which says nothing but who asks.
    fn table(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let name = attributes.bytes(1).ok_or(KernelError::Malformed("table"))?;
        let flags = attributes.be32(2).unwrap_or_default();
        let userdata = attributes.bytes(6);
        attributes.ignore(&[3, 4, 5, 7]);
        self.table_at
            .insert((family, without_nul(name)), self.tables.len());
        self.tables.push(NftTable {
            family: ProtocolFamily::from(u32::from(family)).to_string(),
            name: plain(without_nul(name)),
            flags,
            chains: Vec::new(),
            sets: Vec::new(),
            objects: Vec::new(),
            other: userdata_and_rest(userdata, attributes),
        });
        Ok(())
    }

    /// `enum nft_chain_attributes`. Left out: use count, handle, counters.
    fn chain(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        const BASE: u32 = 1;
        let place = self.place(family, &mut attributes)?;
        let name = attributes.bytes(3).ok_or(KernelError::Malformed("chain"))?;
        let base = hook(family, &mut attributes)?;
        let flags = attributes.be32(10).unwrap_or_default() & !BASE;
        let userdata = attributes.bytes(12);
        attributes.ignore(&[2, 6, 8, 9, 11]);
        let mut other = userdata_and_rest(userdata, attributes);
        if flags != 0 {
            other.insert(0, format!("flags {flags:#x}"));
        }
        let table = &mut self.tables[place.0];
        self.chain_at.insert(
            (family, place.1, without_nul(name)),
            (place.0, table.chains.len()),
        );
        let name = plain(without_nul(name));
        table.chains.push(NftChain {
            name,
            base,
            rules: Vec::new(),
            other,
        });
        Ok(())
    }

    /// `enum nft_rule_attributes`. Left out: handle, and position, which is the handle of the rule before.
    fn rule(
        &mut self,
        family: u8,
        mut attributes: Attributes<'a>,
        decoded: &mut DecodedRules<NftRule>,
    ) -> Result<(), KernelError> {
        // Where it stands comes first, with the rule before it if there is one (`nf_tables_fill_rule_info` of
        // net/netfilter/nf_tables_api.c).
        let sent = attributes
            .after(&[1, 2, 3, 6])
            .or_else(|| attributes.after(&[1, 2, 3]));
        let (_, table) = self.place(family, &mut attributes)?;
        let chain = attributes.bytes(2).map(without_nul).unwrap_or_default();
        let place = self
            .chain_at
            .get(&(family, table, chain))
            .ok_or(KernelError::Malformed("chain of a rule"))?;
        let rule = match sent.map(|sent| (sent, decoded.get(sent))) {
            Some((_, Some(rule))) => rule,
            Some((sent, None)) => decoded.keep(sent, rule_of(attributes)?.into()),
            None => rule_of(attributes)?.into(),
        };
        self.tables[place.0].chains[place.1].rules.push(rule);
        Ok(())
    }

    /// `enum nft_set_attributes`. Left out: handle, id, and what follows from the rest: the count of elements, and the
    /// backend, which the kernel picks itself and which depends on the processor.
    fn set(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, table_name) = self.place(family, &mut attributes)?;
        let name = attributes.bytes(2).ok_or(KernelError::Malformed("set"))?;
        let header = set_header(&mut attributes)?;
        attributes.ignore(&[10, 14, 16, 19, 20]);
        let header = [vec![header], attributes.printed_rest()].concat().join(" ");
        let sets = &mut self.tables[table].sets;
        self.set_at
            .insert((family, table_name, without_nul(name)), (table, sets.len()));
        let name = plain(without_nul(name));
        sets.push(NftSet {
            name,
            header,
            elements: Vec::new(),
        });
        Ok(())
    }

    /// `enum nft_set_elem_list_attributes`.
    fn elements(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (_, table) = self.place(family, &mut attributes)?;
        let set = attributes.bytes(2).map(without_nul).unwrap_or_default();
        let place = self
            .set_at
            .get(&(family, table, set))
            .ok_or(KernelError::Malformed("set of an element"))?;
        let list = attributes.bytes(3).unwrap_or_default();
        for (_, member) in Attributes::parse(list)?.members() {
            let printed = element(member)?;
            self.tables[place.0].sets[place.1].elements.push(printed);
        }
        Ok(())
    }

    /// `enum nft_object_attributes`. Left out: use count and handle.
    fn object(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, _) = self.place(family, &mut attributes)?;
        let name = attributes.word(2).ok_or(KernelError::Malformed("object"))?;
        let kind = attributes.be32(3).ok_or(KernelError::Malformed("object"))?;
        let data = expression::decode_named(
            object_kind(kind),
            attributes.bytes(4).unwrap_or_default(),
            Attributes::default(),
        );
        let userdata = attributes.bytes(8);
        attributes.ignore(&[5, 6, 7]);
        let parts = [
            vec![format!("object {name} {data}")],
            userdata_and_rest(userdata, attributes),
        ]
        .concat();
        self.tables[table].objects.push(parts.join(" "));
        Ok(())
    }

    /// `enum nft_flowtable_attributes`. Left out: use count and handle.
    fn flowtable(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, _) = self.place(family, &mut attributes)?;
        let name = attributes
            .word(2)
            .ok_or(KernelError::Malformed("flowtable"))?;
        let mut parts = vec![format!("flowtable {name}")];
        if let Some(nest) = attributes.bytes(3) {
            let mut hook = Attributes::parse(nest)?;
            parts.extend(hook.be32(1).map(|number| format!("hook {number}")));
            parts.extend(
                hook.be32(2)
                    .map(|priority| format!("prio {}", priority.cast_signed())),
            );
            parts.extend(
                devices(&mut hook, 3)?
                    .into_iter()
                    .map(|device| format!("dev {device}")),
            );
            parts.extend(hook.printed_rest());
        }
        parts.extend(attributes.be32(7).map(|flags| format!("flags {flags:#x}")));
        attributes.ignore(&[4, 5, 6]);
        parts.extend(attributes.printed_rest());
        self.tables[table].objects.push(parts.join(" "));
        Ok(())
    }

    /// The table that a message's first attribute names: its place and its name.
    fn place(
        &self,
        family: u8,
        attributes: &mut Attributes<'a>,
    ) -> Result<(usize, &'a [u8]), KernelError> {
        let name = attributes.bytes(1).map(without_nul).unwrap_or_default();
        let place = self.table_at.get(&(family, name));
        place
            .map(|&place| (place, name))
            .ok_or(KernelError::Malformed(
                "table of a chain, rule, set or object",
            ))
    }
}

/// What a rule does, wherever it stands.
fn rule_of(mut attributes: Attributes) -> Result<NftRule, KernelError> {
    let expressions = match attributes.bytes(4) {
        Some(list) => expression::decode_list(list)?,
        None => Vec::new(),
    };
    let compat = attributes.bytes(5).map(compat).transpose()?;
    let userdata = attributes.bytes(7).map(hex);
    attributes.ignore(&[3, 6, 8]);
    Ok(NftRule {
        expressions: expressions.into_iter().map(Into::into).collect(),
        other: attributes.rest(),
        compat,
        userdata,
    })
}

fn userdata_and_rest(userdata: Option<&[u8]>, attributes: Attributes) -> Vec<String> {
    let userdata = userdata.map(|userdata| format!("userdata {}", hex(userdata)));
    userdata
        .into_iter()
        .chain(attributes.printed_rest())
        .collect()
}

/// `enum nft_rule_compat_attributes`.
fn compat(nest: &[u8]) -> Result<String, KernelError> {
    let mut attributes = Attributes::parse(nest)?;
    let mut parts = Vec::new();
    parts.extend(
        attributes
            .be32(1)
            .map(|protocol| format!("proto {protocol}")),
    );
    parts.extend(attributes.be32(2).map(|flags| format!("flags {flags:#x}")));
    parts.extend(attributes.printed_rest());
    Ok(parts.join(" "))
}

/// `enum nft_hook_attributes` with the chain's type and policy; nothing for a chain that is no base chain.
fn hook(family: u8, chain: &mut Attributes) -> Result<Option<NftHook>, KernelError> {
    let Some(nest) = chain.bytes(4) else {
        return Ok(None);
    };
    let mut attributes = Attributes::parse(nest)?;
    let number = attributes.be32(1).ok_or(KernelError::Malformed("hook"))?;
    let priority = attributes.be32(2).ok_or(KernelError::Malformed("hook"))?;
    let mut devices = devices(&mut attributes, 4)?;
    match attributes.word(3) {
        // A chain of one device names it twice (nft_dump_basechain_hook).
        Some(device) if devices.is_empty() => devices.push(device),
        _ => {}
    }
    devices.extend(attributes.printed_rest());
    let policy = match chain.be32(5) {
        Some(0) => "DROP".to_owned(),
        Some(1) | None => "ACCEPT".to_owned(),
        Some(other) => format!("unknown-{other}"),
    };
    let kind = chain.word(7).unwrap_or_else(|| "filter".to_owned());
    Ok(Some(NftHook {
        kind,
        hook: hook_name(family, number),
        priority: priority.cast_signed(),
        policy,
        devices,
    }))
}

/// Interfaces of `enum nft_devices_attributes`, or prefixes of their names.
fn devices(attributes: &mut Attributes, kind: u16) -> Result<Vec<String>, KernelError> {
    let list = attributes.bytes(kind).unwrap_or_default();
    let devices = Attributes::parse(list)?.members();
    let printed = devices.map(|(kind, name)| match kind {
        1 => Name::from(without_nul(name)).to_string(),
        2 => format!("prefix {}", Name::from(without_nul(name))),
        other => format!("attribute {other} {}", hex(name)),
    });
    Ok(printed.collect())
}

/// `enum nf_inet_hooks`, `NF_ARP_*`, `enum nf_dev_hooks`.
fn hook_name(family: u8, number: u32) -> String {
    let names: &[&str] = match i32::from(family) {
        libc::NFPROTO_ARP => &["input", "output", "forward"],
        libc::NFPROTO_NETDEV => &["ingress", "egress"],
        _ => &[
            "prerouting",
            "input",
            "forward",
            "output",
            "postrouting",
            "ingress",
        ],
    };
    let name = usize::try_from(number)
        .ok()
        .and_then(|place| names.get(place));
    name.map_or_else(|| format!("unknown-{number}"), |name| (*name).to_owned())
}

/// `NFT_OBJECT_*`, under the names that the same things have as expressions.
fn object_kind(kind: u32) -> Name {
    const KINDS: [&str; 11] = [
        "unspec",
        "counter",
        "quota",
        "cthelper",
        "limit",
        "connlimit",
        "tunnel-key",
        "cttimeout",
        "secmark",
        "ctexpect",
        "synproxy",
    ];
    let name = usize::try_from(kind)
        .ok()
        .and_then(|place| KINDS.get(place));
    match name {
        Some(name) => name.as_bytes().into(),
        None => format!("unknown-{kind}").into_bytes().into(),
    }
}

/// What a set is, in one line.
fn set_header(attributes: &mut Attributes) -> Result<String, KernelError> {
    let mut parts = vec![format!(
        "flags {:#x}",
        attributes.be32(3).unwrap_or_default()
    )];
    let numbers = [
        (4, "key_type"),
        (5, "key_len"),
        (6, "data_type"),
        (7, "data_len"),
        (8, "policy"),
        (15, "obj_type"),
    ];
    for (kind, name) in numbers {
        parts.extend(
            attributes
                .be32(kind)
                .map(|number| format!("{name} {number}")),
        );
    }
    parts.extend(
        attributes
            .be64(11)
            .map(|timeout| format!("timeout {timeout}ms")),
    );
    parts.extend(
        attributes
            .be32(12)
            .map(|interval| format!("gc_interval {interval}ms")),
    );
    if let Some(nest) = attributes.bytes(9) {
        let mut description = Attributes::parse(nest)?;
        parts.extend(description.be32(1).map(|size| format!("size {size}")));
        parts.extend(
            description
                .bytes(2)
                .map(|fields| format!("concat {}", hex(fields))),
        );
        parts.extend(description.printed_rest());
    }
    parts.extend(
        attributes
            .bytes(13)
            .map(|userdata| format!("userdata {}", hex(userdata))),
    );
    parts.extend(expressions(attributes, 17, 18)?);
    Ok(parts.join(" "))
}

/// The expressions of a set or an element: one alone, or a list.
fn expressions(
    attributes: &mut Attributes,
    one: u16,
    many: u16,
) -> Result<Vec<String>, KernelError> {
    let mut found = Vec::new();
    if let Some(nest) = attributes.bytes(one) {
        found.push(expression::decode(nest)?);
    }
    if let Some(list) = attributes.bytes(many) {
        found.extend(expression::decode_list(list)?);
    }
    Ok(found
        .into_iter()
        .map(|expression| format!("[ {expression} ]"))
        .collect())
}

/// `enum nft_set_elem_attributes`, in one line. Left out: when it expires.
fn element(nest: &[u8]) -> Result<String, KernelError> {
    let mut attributes = Attributes::parse(nest)?;
    let mut parts = vec!["element".to_owned()];
    parts.extend(expression::data(&mut attributes, 1).map(|key| key.to_string()));
    parts.extend(expression::data(&mut attributes, 10).map(|end| format!("- {end}")));
    parts.extend(expression::data(&mut attributes, 2).map(|data| format!(": {data}")));
    parts.extend(
        attributes
            .word(9)
            .map(|object| format!(": object {object}")),
    );
    parts.extend(attributes.be32(3).map(|flags| format!("flags {flags:#x}")));
    parts.extend(
        attributes
            .be64(4)
            .map(|timeout| format!("timeout {timeout}ms")),
    );
    parts.extend(expressions(&mut attributes, 7, 11)?);
    parts.extend(
        attributes
            .bytes(6)
            .map(|userdata| format!("userdata {}", hex(userdata))),
    );
    attributes.ignore(&[5, 8]);
    parts.extend(attributes.printed_rest());
    Ok(parts.join(" "))
}
