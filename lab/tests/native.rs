//! The binary on real iptables builds and the real kernel, without a daemon: what needs network namespaces.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other targets")]
#[macro_use]
#[path = "it/need.rs"]
mod need;

#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lane.rs"]
mod lane;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/prints.rs"]
mod prints;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/refuse.rs"]
mod refuse;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/shipped.rs"]
mod shipped;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/user.rs"]
mod user;

#[path = "it/bare.rs"]
mod bare;
#[path = "it/doctor.rs"]
mod doctor;
#[path = "it/everywhere.rs"]
mod everywhere;
#[path = "it/field.rs"]
mod field;
#[path = "it/given.rs"]
mod given;
#[path = "it/init.rs"]
mod init;
#[path = "it/inventory.rs"]
mod inventory;
#[path = "it/layers.rs"]
mod layers;
#[path = "it/marks.rs"]
mod marks;
#[path = "it/memory.rs"]
mod memory;
#[path = "it/mends.rs"]
mod mends;
#[path = "it/native.rs"]
mod native;
#[path = "it/own_builds.rs"]
mod own_builds;
#[path = "it/plan.rs"]
mod plan;
#[path = "it/replay.rs"]
mod replay;
#[path = "it/snapshots.rs"]
mod snapshots;
#[path = "it/store.rs"]
mod store;
