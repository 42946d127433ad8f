//! What the kernel sent, put together: tables with their chains, rules, sets and objects.

use foldhash::HashMap;

use super::{NFTABLES, chain, kind, object, set, split, stamp};
use crate::agent::kernel::attributes::{Attributes, without_nul};
use crate::agent::kernel::decoded::DecodedRules;
use crate::agent::kernel::error::KernelError;
use crate::agent::kernel::expression;
use crate::agent::kernel::netlink::messages;
use crate::observed::expression::ProtocolFamily;
use crate::observed::{Bytes, ChainFlags, Compat, NftChain, NftRule, NftTable, plain};

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
    for table in &mut decoder.tables {
        for set in &mut table.sets {
            set.elements.sort_by_cached_key(ToString::to_string);
        }
        table.number_anonymous_sets();
    }
    Ok(decoder.tables)
}

impl<'a> Decoder<'a> {
    /// `enum nft_table_attributes`. Left out: use count, handle, and the owner's port, which says nothing but who asks.
    fn table(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let name = attributes.bytes(1).ok_or(KernelError::Malformed("table"))?;
        let flags = attributes.be32(2).unwrap_or_default().into();
        let (stamp, userdata) = attributes.bytes(6).map(stamp::split).unwrap_or_default();
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
            flowtables: Vec::new(),
            stamp,
            userdata,
            other: attributes.rest(),
        });
        Ok(())
    }

    /// `enum nft_chain_attributes`. Left out: use count, handle, counters.
    fn chain(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let place = self.place(family, &mut attributes)?;
        let name = attributes.bytes(3).ok_or(KernelError::Malformed("chain"))?;
        let base = chain::hook(family, &mut attributes)?;
        let flags = ChainFlags::from(attributes.be32(10).unwrap_or_default());
        let userdata = attributes.bytes(12).map(Bytes::from);
        attributes.ignore(&[2, 6, 8, 9, 11]);
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
            flags: flags.without(ChainFlags::BASE),
            userdata,
            other: attributes.rest(),
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

    /// `enum nft_set_attributes`.
    fn set(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, table_name) = self.place(family, &mut attributes)?;
        let name = attributes.bytes(2).ok_or(KernelError::Malformed("set"))?;
        let name = without_nul(name);
        let sets = &mut self.tables[table].sets;
        self.set_at
            .insert((family, table_name, name), (table, sets.len()));
        sets.push(set::set(name.into(), attributes)?);
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
            let element = set::element(member)?;
            self.tables[place.0].sets[place.1].elements.push(element);
        }
        Ok(())
    }

    /// `enum nft_object_attributes`.
    fn object(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, _) = self.place(family, &mut attributes)?;
        let object = object::object(attributes)?;
        self.tables[table].objects.push(object);
        Ok(())
    }

    /// `enum nft_flowtable_attributes`.
    fn flowtable(&mut self, family: u8, mut attributes: Attributes<'a>) -> Result<(), KernelError> {
        let (table, _) = self.place(family, &mut attributes)?;
        let flowtable = object::flowtable(attributes)?;
        self.tables[table].flowtables.push(flowtable);
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
    let userdata = attributes.bytes(7).map(Bytes::from);
    attributes.ignore(&[3, 6, 8]);
    Ok(NftRule {
        expressions: expressions.into_iter().map(Into::into).collect(),
        other: attributes.rest(),
        compat,
        userdata,
    })
}

/// `enum nft_rule_compat_attributes`.
fn compat(nest: &[u8]) -> Result<Compat, KernelError> {
    let mut attributes = Attributes::parse(nest)?;
    Ok(Compat {
        protocol: attributes.be32(1),
        flags: attributes.be32(2),
        other: attributes.rest(),
    })
}
