//! Somebody who writes and reads rules on a node: which build stands for it, what it really ships, how it changes rules.

use super::changes::Changes;
use super::products::Product;
use crate::catalog::{Backend, BuildId};

/// Somebody who writes and reads rules on the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As it was named: `host`, `kube-router@1.5.1`.
    pub name: String,
    /// The build that is tested for it.
    pub build: BuildId,
    /// What it really ships, where that is known and not the build itself.
    pub package: Option<String>,
    /// Whether the build only stands in for what it ships.
    pub stands_in: bool,
    /// How it changes rules.
    pub changes: Changes,
    /// The entry of the table of products that it is.
    pub product: Option<Product>,
}

impl Member {
    /// One that is a build itself: what is done with it is not known.
    pub fn of_build(name: &str, build: BuildId) -> Self {
        Member {
            name: name.to_owned(),
            build,
            package: None,
            stands_in: false,
            changes: Changes::Unknown,
            product: None,
        }
    }

    /// A product, beside a host that uses the backend `host`.
    pub fn of_product(name: &str, product: &Product, host: Backend) -> Self {
        Member {
            name: name.to_owned(),
            build: BuildId::new(&product.build, product.backend.beside(host)),
            package: Some(product.package.clone()),
            stands_in: product.stands_in,
            changes: product.changes,
            product: Some(product.clone()),
        }
    }

    /// The backend that it uses.
    pub fn backend(&self) -> Backend {
        match self.build.as_str().ends_with("-legacy") {
            true => Backend::Legacy,
            false => Backend::Nft,
        }
    }
}
