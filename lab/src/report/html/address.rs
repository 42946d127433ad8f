//! The addresses of cells within the page: `#1.8.8-nft/1.8.7-nft/kube-firewall`, with a family where it matters.

use crate::catalog::{BuildId, Family};

/// The address of a cell, without `#`. A cell without a family stands for all families that its heat map is of.
pub fn address(
    writer: &BuildId,
    reader: &BuildId,
    scenario: &str,
    family: Option<Family>,
) -> String {
    match family {
        Some(family) => format!("{writer}/{reader}/{scenario}/{family}"),
        None => format!("{writer}/{reader}/{scenario}"),
    }
}

/// An address as it stands in a link: what is no plain character of one is percent-encoded.
pub fn encoded(address: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/+".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    address.bytes().map(encode).collect()
}
