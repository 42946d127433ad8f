//! Reports as people look at them, the page in a real browser.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other targets")]
#[macro_use]
#[path = "it/need.rs"]
mod need;

#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/browser.rs"]
mod browser;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/refuse.rs"]
mod refuse;

#[path = "it/bare.rs"]
mod bare;
#[path = "it/page.rs"]
mod page;
#[path = "it/reports.rs"]
mod reports;
