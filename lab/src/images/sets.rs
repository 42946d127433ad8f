//! Which package sets of which suites there are.

use super::request::ProvideRequest;
use super::store::{PackageSet, Store};
use crate::catalog::{Image, Source, Tool};

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
    /// Debian's package of a tool, as people run it.
    pub(super) fn tool(suite: &str, tool: Tool) -> SetOf {
        SetOf {
            suite: suite.to_owned(),
            set: tool.package(),
            asked: match tool {
                Tool::Iptables => vec!["iptables".into(), "netbase".into()],
                Tool::Nft => vec!["nftables".into()],
            },
        }
    }

    /// Whether a suite may have newer builds of it.
    pub(super) fn is_tool(&self) -> bool {
        [Tool::Iptables, Tool::Nft]
            .iter()
            .any(|tool| self.set == tool.package())
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

    /// What an image is unpacked from, or compiled with.
    pub(super) fn of(image: &Image, request: &ProvideRequest<'_>) -> Option<SetOf> {
        match &image.source {
            Source::Suite { suite } => Some(SetOf::tool(suite, image.tool)),
            Source::Release(_) | Source::Tarball { .. } | Source::Tree { .. } => {
                Some(SetOf::toolchain(request))
            }
            Source::Container { .. } | Source::Host => None,
        }
    }

    /// What a failure to have it is remembered by.
    pub(super) fn miss_key(&self) -> String {
        format!("packages {} {}", self.suite, self.asked.join(" "))
    }
}
