//! What happens while images are made, for whoever shows it.

use std::fmt;
use std::sync::Arc;

/// A step of the work, by what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Packages and sources of a Debian suite are fetched.
    Fetch {
        /// The suite.
        suite: String,
    },
    /// A tarball is fetched from its project.
    Download {
        /// The tarball's file name.
        archive: String,
    },
    /// The image that packages are fetched in is pulled.
    Pull {
        /// Its reference.
        reference: String,
    },
    /// The toolchain's root filesystem and image are made.
    Toolchain,
    /// A release is compiled; progress counts lines of output.
    Compile {
        /// The image's name.
        image: String,
    },
    /// A root filesystem is put together from what is there already.
    Assemble {
        /// The image's name.
        image: String,
    },
    /// The container image is made.
    ContainerImage {
        /// The image's name.
        image: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Fetch { suite } => write!(f, "fetching packages of {suite}"),
            Step::Download { archive } => write!(f, "downloading {archive}"),
            Step::Pull { reference } => write!(f, "pulling {reference}"),
            Step::Toolchain => write!(f, "making the toolchain"),
            Step::Compile { image } => write!(f, "compiling {image}"),
            Step::Assemble { image } => write!(f, "unpacking {image}"),
            Step::ContainerImage { image } => write!(f, "making the container image of {image}"),
        }
    }
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes received.
    Bytes,
    /// Lines that a command printed.
    Lines,
}

/// One thing that happened to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Started(Step),
    /// It got on.
    Progress {
        /// Which.
        step: Step,
        /// How far.
        done: u64,
        /// Of how much, where known.
        total: Option<u64>,
        /// Of what.
        unit: Unit,
    },
    /// Another run of the lab is at it; this one waits.
    Waiting(Step),
    /// It is done.
    Finished(Step),
    /// It failed. What that means for which build comes with the [`super::Provision`].
    Failed {
        /// Which.
        step: Step,
        /// Why.
        reason: String,
    },
}

/// Who hears of events. It is called from several threads.
pub type Listener = Arc<dyn Fn(Event) + Send + Sync>;
