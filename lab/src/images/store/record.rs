//! What the store knows of what lies in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Build, BuildId, Digest, Image, Version};
use crate::images::archive::Package;

/// What the store knows of a root filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it was made from.
    pub key: Digest,
    /// The digest of its normalised tar.
    pub digest: Digest,
    /// Its exact version.
    pub version: Version,
    /// What `--version` prints, by backend; a backend that it does not hold is not there.
    pub banners: BTreeMap<Backend, String>,
    /// The libnftnl it is linked with, where known.
    pub libnftnl: Option<String>,
    /// The packages it was made from or with.
    pub packages: Vec<Package>,
    /// The ids it was first built for.
    pub ids: Vec<BuildId>,
}

impl Record {
    /// One backend of it as a build of `image`.
    pub fn build(&self, image: &Image, backend: Backend, banner: &str) -> Build {
        let name = image.name_of(&self.version);
        Build {
            id: BuildId::of_tool(image.tool, &name, backend),
            version: self.version.clone(),
            tool: image.tool,
            backend,
            variant: image.variant.clone(),
            origin: image.origin,
            key: self.key.clone(),
            digest: self.digest.clone(),
            libnftnl: self.libnftnl.clone(),
            banner: banner.to_owned(),
        }
    }

    /// Its backends as the builds of `image`.
    pub fn builds(&self, image: &Image) -> impl Iterator<Item = Build> {
        let banners = self.banners.iter();
        banners.map(|(backend, banner)| self.build(image, *backend, banner))
    }
}

/// A package set of a suite, as apt resolved it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageSet {
    /// What was asked for.
    pub asked: Vec<String>,
    /// What that came to, sorted by name.
    pub packages: Vec<Package>,
    /// When.
    pub fetched: Timestamp,
}

impl PackageSet {
    /// The version of one of its packages.
    pub fn version(&self, package: &str) -> Option<&Version> {
        let found = self.packages.iter().find(|p| p.name == package);
        found.map(|package| &package.version)
    }

    /// One line a package: what keys are made of.
    pub(in crate::images) fn list(&self) -> String {
        let line =
            |p: &Package| format!("{} {} {} {}\n", p.name, p.version, p.architecture, p.sha256);
        self.packages.iter().map(line).collect()
    }
}
