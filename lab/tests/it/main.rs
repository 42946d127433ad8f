//! The binary on the real thing: real iptables builds, the real kernel, a real Docker daemon.
#![allow(clippy::unwrap_used)]

mod advice;
mod browser;
mod cli;
mod docker;
mod doctor;
mod engines;
mod everywhere;
mod evidence;
mod faults;
mod gate;
mod hang;
mod host;
mod hostile;
mod init;
mod inventory;
mod lab;
mod lane;
mod lifecycle;
mod losses;
mod marks;
mod native;
mod packets;
mod page;
mod plan;
mod prints;
mod refuse;
mod replay;
mod reports;
mod schemas;
mod snapshots;
mod store;
mod user;
mod verdicts;
