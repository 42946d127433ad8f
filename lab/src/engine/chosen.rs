//! The engine that builds are made for and run by, before there are builds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Engine;
use super::docker::{ContainerImages, DockerEngine};
use super::native::{Directories, NativeEngine};
use crate::docker::Docker;
use crate::images::{Provision, Roots, Store};
use crate::leftovers::Claim;

/// The engine that builds are made for and run by, on this machine.
#[derive(Clone)]
pub enum Chosen {
    /// Containers of a daemon.
    Docker(Arc<ContainerImages>),
    /// Namespaces alone.
    Native {
        /// Where builds live.
        directories: Arc<Directories>,
        /// A daemon that answers all the same: where builds that the user has as container images come from.
        docker: Option<Docker>,
    },
}

impl Chosen {
    /// Containers of `docker`; `program` is the lab itself, which is the agent in them. What is started for their images is
    /// `claim`'s.
    pub fn docker(docker: Docker, store: &Store, program: PathBuf, claim: &Claim) -> Chosen {
        let images = ContainerImages::new(docker, store, program, claim.labels());
        Chosen::Docker(Arc::new(images))
    }

    /// Namespaces; `program` is the lab itself, which makes them. A daemon that answers is of use for builds that the user
    /// has as container images.
    pub fn native(store: &Store, program: PathBuf, docker: Option<Docker>) -> Chosen {
        Chosen::Native {
            directories: Arc::new(Directories::new(store, program)),
            docker,
        }
    }

    /// Where its builds live.
    pub fn roots(&self) -> &dyn Roots {
        match self {
            Chosen::Docker(images) => images.as_ref(),
            Chosen::Native { directories, .. } => directories.as_ref(),
        }
    }

    /// A daemon, if one is known to answer.
    pub fn daemon(&self) -> Option<&Docker> {
        match self {
            Chosen::Docker(images) => Some(images.docker()),
            Chosen::Native { docker, .. } => docker.as_ref(),
        }
    }

    /// An engine without builds; none where nothing can be run without them.
    pub fn without_builds(&self) -> Option<Box<dyn Engine>> {
        match self {
            Chosen::Docker(_) => None,
            Chosen::Native { directories, .. } => Some(Box::new(NativeEngine::new(
                directories.clone(),
                BTreeMap::new(),
            ))),
        }
    }

    /// An engine for the builds of `provision`; what it starts is `claim`'s.
    pub fn engine(&self, provision: &Provision, claim: &Claim) -> Box<dyn Engine> {
        let roots = provision.roots();
        match self {
            Chosen::Docker(images) => Box::new(DockerEngine::new(images.clone(), roots, claim)),
            Chosen::Native { directories, .. } => {
                Box::new(NativeEngine::new(directories.clone(), roots))
            }
        }
    }
}
