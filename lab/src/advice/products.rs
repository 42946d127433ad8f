//! Which iptables products shipped: `kube-router@1.5.1` stands for a build. Each entry has its source and date.

use serde::Deserialize;

use super::changes::Changes;
use crate::catalog::{Backend, Version};

/// An entry: a product in a range of versions, and what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Product {
    /// `kube-router`.
    pub name: String,
    /// The first version that it is said of.
    pub from: Version,
    /// The last.
    pub to: Version,
    /// The image of the catalog that is tested for it: `1.8.7`.
    pub build: String,
    /// What was really shipped.
    pub package: String,
    /// Whether the build is not that, only of the same upstream release.
    #[serde(default)]
    pub stands_in: bool,
    /// Which backend it uses.
    pub backend: Chooses,
    /// Where that is said.
    pub source: String,
    /// When that was: `2022-10-10`.
    pub date: String,
    /// How it changes rules.
    pub changes: Changes,
    /// Which of its code does that; none where it is not known how.
    #[serde(default)]
    pub changes_source: Option<String>,
}

/// Which backend a product uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chooses {
    /// nf_tables.
    Nft,
    /// The xtables socket options.
    Legacy,
    /// The one that the host uses.
    Detects,
}

impl Chooses {
    /// The backend beside a host that uses `host`.
    pub fn beside(self, host: Backend) -> Backend {
        match self {
            Chooses::Nft => Backend::Nft,
            Chooses::Legacy => Backend::Legacy,
            Chooses::Detects => host,
        }
    }
}

/// All entries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Products {
    /// In the file's order.
    #[serde(rename = "product")]
    pub all: Vec<Product>,
}

/// Why a product stands for no build.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ProductsError {
    /// The table cannot be read.
    #[error("the table of products cannot be read: {0}")]
    Malformed(#[from] toml::de::Error),
    /// There is no such product.
    #[error("no product is called `{name}`")]
    #[diagnostic(help("{known}; the id of a build is taken too"))]
    NoProduct {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The product is known, but not this version.
    #[error("it is not known which iptables {name} {version} ships")]
    #[diagnostic(help("{known}; the id of a build is taken too"))]
    NoVersion {
        /// The product.
        name: String,
        /// What was asked for.
        version: String,
        /// What there is.
        known: String,
    },
    /// Several entries fit.
    #[error("{name} {version} may be one of several: {which}")]
    #[diagnostic(help("name the version in full"))]
    Several {
        /// The product.
        name: String,
        /// What was asked for.
        version: String,
        /// What fits.
        which: String,
    },
}

impl Products {
    /// The table that is part of the binary.
    ///
    /// # Errors
    /// Never in practice: a test reads it.
    pub fn embedded() -> Result<Self, ProductsError> {
        Ok(toml::from_str(include_str!(
            "../../../images/products.toml"
        ))?)
    }

    /// The entry for `kube-router` and `1.5.1`, or `1.5` where all of 1.5 shipped the same.
    ///
    /// # Errors
    /// No product or version of it is known, or several entries fit.
    pub fn find(&self, name: &str, version: &str) -> Result<&Product, ProductsError> {
        let of_name: Vec<&Product> = self.all.iter().filter(|of| of.name == name).collect();
        if of_name.is_empty() {
            let mut names: Vec<&str> = self.all.iter().map(|of| of.name.as_str()).collect();
            names.dedup();
            return Err(ProductsError::NoProduct {
                name: name.to_owned(),
                known: format!("these are known: {}", names.join(", ")),
            });
        }
        let fitting: Vec<&&Product> = of_name.iter().filter(|of| of.holds(version)).collect();
        let listed = |of: &Product| match of.from == of.to {
            true => format!("{} ({})", of.from, of.package),
            false => format!("{} to {} ({})", of.from, of.to, of.package),
        };
        match fitting.as_slice() {
            [] => Err(ProductsError::NoVersion {
                name: name.to_owned(),
                version: version.to_owned(),
                known: format!(
                    "these are known: {}",
                    of_name
                        .iter()
                        .map(|of| listed(of))
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            }),
            [only] => Ok(only),
            several => Err(ProductsError::Several {
                name: name.to_owned(),
                version: version.to_owned(),
                which: several
                    .iter()
                    .map(|of| listed(of))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }
}

impl Products {
    /// The later versions of `product`, the earliest first.
    pub fn later(&self, product: &Product) -> Vec<&Product> {
        let is_later = |of: &&Product| of.name == product.name && of.from > product.to;
        let mut later: Vec<&Product> = self.all.iter().filter(is_later).collect();
        later.sort_by(|one, other| one.from.cmp(&other.from));
        later
    }
}

impl Product {
    /// Whether `version`, in full or only its first numbers, is in the range.
    fn holds(&self, version: &str) -> bool {
        let asked = numbers(version.trim_start_matches('v'));
        let cut = |of: &Version| -> Vec<u64> {
            numbers(of.as_str()).into_iter().take(asked.len()).collect()
        };
        !asked.is_empty() && cut(&self.from) <= asked && {
            let last = cut(&self.to);
            // `1.5.4.1` is after `1.5.4`.
            asked <= last
        }
    }
}

fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    release
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::Catalog;

    #[rstest]
    #[case("kube-router", "1.5.1", "1.8.7")]
    #[case("kube-router", "v1.5.2", "1.8.8")]
    #[case("calico-node", "3.26", "1.8.4")]
    #[case("calico-node", "3.30.2", "1.8.8")]
    #[case("k0s", "1.27.4+k0s.0", "1.8.7")]
    #[case("debian", "12", "debian-1.8.9-2")]
    #[case("istio", "1.22.1", "1.8.7")]
    #[case("tailscale", "v1.82.5", "1.8.10")]
    fn a_version_stands_for_the_build_that_it_shipped(
        #[case] name: &str,
        #[case] version: &str,
        #[case] build: &str,
    ) {
        assert_eq!(
            Products::embedded()
                .unwrap()
                .find(name, version)
                .unwrap()
                .build,
            build
        );
    }

    #[rstest]
    #[case("kube-router", "1.5.1", Changes::WholeTable)]
    #[case("kube-router", "2.5.0", Changes::WholeTable)]
    #[case("kube-proxy", "1.30", Changes::OwnChains)]
    #[case("calico-node", "3.26", Changes::OwnChains)]
    #[case("antrea", "2.5.1", Changes::OwnChains)]
    #[case("flannel", "0.18.1", Changes::SingleRules)]
    #[case("flannel", "0.20.1", Changes::OwnChains)]
    #[case("tailscale", "1.82.0", Changes::SingleRules)]
    #[case("cilium", "1.18", Changes::SingleRules)]
    #[case("debian", "12", Changes::Unknown)]
    #[case("k0s", "1.27", Changes::Unknown)]
    fn a_product_changes_rules_in_its_way(
        #[case] name: &str,
        #[case] version: &str,
        #[case] changes: Changes,
    ) {
        let products = Products::embedded().unwrap();
        assert_eq!(products.find(name, version).unwrap().changes, changes);
    }

    #[rstest]
    #[case(
        "kube-router",
        "1.5",
        "may be one of several: 1.5.0 to 1.5.1 (Alpine's iptables 1.8.7), 1.5.2 to 1.5.4"
    )]
    #[case("calico-node", "3.27", "may be one of several")]
    #[case("kube-router", "1.4.0", "it is not known which iptables")]
    #[case("tailscale", "1.92.0", "it is not known which iptables")]
    #[case("kube-router", "", "it is not known which iptables")]
    #[case("kube-ruter", "1.5", "no product is called `kube-ruter`")]
    fn what_is_not_known_is_said(#[case] name: &str, #[case] version: &str, #[case] said: &str) {
        let products = Products::embedded().unwrap();
        let error = products.find(name, version).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn every_entry_has_a_build_a_source_and_a_date() {
        let catalog = Catalog::load(&[]).unwrap();
        for product in Products::embedded().unwrap().all {
            let stem = product.build.strip_prefix("debian-");
            let is_known = match stem {
                // A package's image is named after the version that the suite has: that of bullseye is pinned.
                Some(version) => catalog.images.iter().any(|image| match &image.source {
                    crate::catalog::Source::Release(release) => {
                        release.debian_source.iter().any(|source| {
                            source
                                .version
                                .as_ref()
                                .is_some_and(|v| v.as_str() == version)
                        })
                    }
                    _ => false,
                }),
                None => catalog
                    .images
                    .iter()
                    .any(|image| image.name == product.build),
            };
            assert!(is_known, "{product:?}");
            assert!(product.source.starts_with("https://"), "{product:?}");
            assert!(
                product.date.parse::<jiff::civil::Date>().is_ok(),
                "{product:?}"
            );
            assert!(product.from <= product.to, "{product:?}");
            // Who says how a product changes rules says where that was seen.
            let source = product.changes_source.as_deref();
            assert_eq!(
                source.is_some_and(|source| source.starts_with("https://")),
                product.changes != Changes::Unknown,
                "{product:?}"
            );
            // Only Debian's packages are tested as they are.
            assert_eq!(product.stands_in, stem.is_none(), "{product:?}");
        }
    }
}
