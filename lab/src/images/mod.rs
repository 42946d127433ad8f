//! From a catalog entry to a root filesystem, and to an engine's place for it.

mod apt;
mod archive;
mod banner;
mod compile;
mod container;
mod digest;
mod event;
mod gather;
mod gathered;
mod host;
mod material;
mod provide;
mod request;
mod rootfs;
mod roots;
mod scratch;
mod sets;
mod store;
mod tarball;
mod task;
mod toolchain;
mod tree;
mod workshop;

pub use archive::Package;
pub(crate) use digest::of_file as digest_of_file;
pub use event::{Event, Listener, Step, Unit};
pub use provide::{Surveyed, provide, remove, survey, try_provide, version_in_store};
pub use request::{Effort, ImagesError, ProvideRequest, Provision, ReadyBuild};
pub use roots::{Done, Files, Job, LARGEST, MOUNT_POINTS, OUT, RootId, Roots, RootsError, WORK};
pub use store::{Held, InUse, PackageSet, Record, Remove, Store, StoreError};
pub(crate) use task::{blocking, lock, step};
