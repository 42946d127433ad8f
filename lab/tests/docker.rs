//! The binary on a real Docker daemon, and both engines beside each other.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other targets")]
#[macro_use]
#[path = "it/need.rs"]
mod need;

#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/docker.rs"]
mod docker;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/host.rs"]
mod host;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lane.rs"]
mod lane;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/refuse.rs"]
mod refuse;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/user.rs"]
mod user;

#[path = "it/bare.rs"]
mod bare;
#[path = "it/cli.rs"]
mod cli;
#[path = "it/engines.rs"]
mod engines;
#[path = "it/evidence.rs"]
mod evidence;
#[path = "it/faults.rs"]
mod faults;
#[path = "it/hang.rs"]
mod hang;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/lifecycle.rs"]
mod lifecycle;
#[path = "it/losses.rs"]
mod losses;
#[path = "it/node.rs"]
mod node;
#[path = "it/owner.rs"]
mod owner;
#[path = "it/packets.rs"]
mod packets;
#[path = "it/script.rs"]
mod script;
