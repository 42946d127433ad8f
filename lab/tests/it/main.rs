//! The binary on the real thing: real iptables builds, the real kernel, a real Docker daemon.
#![allow(clippy::unwrap_used)]

mod advice;
mod cli;
mod docker;
mod everywhere;
mod evidence;
mod hang;
mod inventory;
mod lab;
mod lane;
mod lifecycle;
mod marks;
mod native;
mod packets;
mod replay;
mod schemas;
mod snapshots;
mod verdicts;
