//! From a catalog entry to a root filesystem to a container image.

mod apt;
mod archive;
mod compile;
mod container;
mod digest;
mod event;
mod gather;
mod material;
mod means;
mod own;
mod provide;
mod request;
mod rootfs;
mod scratch;
mod store;
mod tarball;
mod tree;
mod work;
mod workshop;

pub use archive::Package;
pub use container::AGENT_PATH;
pub use event::{Event, Listener, Step, Unit};
pub use means::{Home, Means};
pub use provide::{Surveyed, provide, remove, survey, try_provide, version_in_store};
pub use request::{Effort, ImagesError, ProvideRequest, Provision, ReadyBuild};
pub use store::{Held, InUse, PackageSet, Record, Remove, Store, StoreError};
