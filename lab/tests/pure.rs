//! What needs nothing but the binary: what is concluded from recordings that lie there, and what is printed of it.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with other targets")]
#[macro_use]
#[path = "it/need.rs"]
mod need;

#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/lab.rs"]
mod lab;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/prints.rs"]
mod prints;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/refuse.rs"]
mod refuse;
#[allow(dead_code, reason = "shared with other targets")]
#[path = "it/shipped.rs"]
mod shipped;

#[path = "it/advice.rs"]
mod advice;
#[path = "it/bare.rs"]
mod bare;
#[path = "it/causes.rs"]
mod causes;
#[path = "it/diagnose.rs"]
mod diagnose;
#[path = "it/docs.rs"]
mod docs;
#[path = "it/gate.rs"]
mod gate;
#[path = "it/schemas.rs"]
mod schemas;
#[path = "it/verdicts.rs"]
mod verdicts;
