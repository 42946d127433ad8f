//! Which nft made a table.

use serde::{Deserialize, Serialize};

use crate::observed::bytes::Bytes;

/// What nft 1.1.6 and newer put into the userdata of a table that they make (`mnl_nft_table_add` of nft's src/mnl.c), so that an older
/// nft can warn that it may not show all of it. It decides about no packet and is no part of a rule; what a command prints may
/// depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// `NFTNL_UDATA_TABLE_NFTVER` of libnftnl's udata.h: the numbers of the release, a byte each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Bytes>,
    /// `NFTNL_UDATA_TABLE_NFTBLD`: when that nft was built, in seconds, in network byte order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Bytes>,
}
