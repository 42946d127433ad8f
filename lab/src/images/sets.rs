//! Which package sets of which suites there are.

use super::request::ProvideRequest;
use super::store::{PackageSet, Store};
use crate::catalog::{Image, Source, Tool, Variant};

/// The set of an nft without xtables' extensions.
const NO_XTABLES: &str = "nftables-no-xtables";

/// A package set, by its suite and name, and what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetOf {
    /// Which suite.
    pub(super) suite: String,
    /// Its name in the store.
    pub(super) set: &'static str,
    /// What is asked of apt.
    pub(super) asked: Vec<String>,
}

impl SetOf {
    /// Debian's package of an image's tool, as people run it: an nft stands beside an iptables, whose extensions it uses.
    pub(super) fn tool(suite: &str, image: &Image) -> SetOf {
        let (set, asked): (_, &[&str]) = match (image.tool, &image.variant) {
            (Tool::Iptables, _) => (image.tool.package(), &["iptables", "netbase"]),
            (Tool::Nft, Some(of)) if *of == Variant::no_xtables() => (NO_XTABLES, &["nftables"]),
            (Tool::Nft, _) => (image.tool.package(), &["nftables", "iptables"]),
        };
        SetOf {
            suite: suite.to_owned(),
            set,
            asked: asked.iter().map(|&package| package.to_owned()).collect(),
        }
    }

    /// Whether a suite may have newer builds of it.
    pub(super) fn is_tool(&self) -> bool {
        let packages = Tool::ALL.map(Tool::package);
        packages.contains(&self.set) || self.set == NO_XTABLES
    }

    /// What releases are compiled with.
    pub(super) fn toolchain(request: &ProvideRequest<'_>) -> SetOf {
        let toolchain = &request.catalog.toolchain;
        SetOf {
            suite: toolchain.suite.clone(),
            set: "toolchain",
            asked: toolchain.packages.clone(),
        }
    }

    /// What every root filesystem has files of.
    pub(super) fn base(request: &ProvideRequest<'_>) -> SetOf {
        let base = &request.catalog.base;
        SetOf {
            suite: base.suite.clone(),
            set: "base",
            asked: base.packages.clone(),
        }
    }

    /// What it came to, if it was fetched.
    pub(super) fn in_store(&self, store: &Store) -> Option<PackageSet> {
        store.package_set(&self.suite, self.set, &self.asked)
    }

    /// What an nft that is compiled stands on.
    pub(super) fn under_nft(request: &ProvideRequest<'_>) -> SetOf {
        let under_nft = &request.catalog.under_nft;
        SetOf {
            suite: under_nft.suite.clone(),
            set: "under-nft",
            asked: under_nft.packages.clone(),
        }
    }

    /// What an image is unpacked from, or compiled with.
    pub(super) fn of(image: &Image, request: &ProvideRequest<'_>) -> Vec<SetOf> {
        match (&image.source, image.tool) {
            (Source::Suite { suite } | Source::Debs { suite, .. }, _) => {
                vec![SetOf::tool(suite, image)]
            }
            (Source::Container { .. } | Source::Rootfs { .. } | Source::Host, _) => Vec::new(),
            (_, Tool::Iptables) => vec![SetOf::toolchain(request)],
            (_, Tool::Nft) => vec![SetOf::toolchain(request), SetOf::under_nft(request)],
        }
    }

    /// What a failure to have it is remembered by.
    pub(super) fn miss_key(&self) -> String {
        format!("packages {} {}", self.suite, self.asked.join(" "))
    }
}
