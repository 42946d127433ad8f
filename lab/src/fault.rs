//! Faults that tests put in: in a debug build `IPTABLES_LAB_FAULT=KIND:NUMBER` makes the program fail at the step of that
//! number. A release build knows nothing of it.

/// How the program fails.
#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It panics.
    Panic,
    /// It is killed.
    Kill,
    /// Someone presses Ctrl-C.
    Interrupt,
}

/// A step that a run can fail at: images are looked for, a build is put together or kept, a lane is opened, an agent is asked or has answered, a load is recorded,
/// the report is made.
pub fn step() {
    #[cfg(debug_assertions)]
    happen();
}

#[cfg(debug_assertions)]
fn happen() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use nix::sys::signal::{Signal, raise};

    static STEPS: AtomicUsize = AtomicUsize::new(1);
    let Some((kind, number)) = asked_for() else {
        return;
    };
    if STEPS.fetch_add(1, Ordering::Relaxed) != number {
        return;
    }
    // That a signal cannot be sent to oneself is seen by the test: nothing happens.
    match kind {
        Kind::Panic => panic!("a fault was asked for at step {number}"),
        Kind::Kill => drop(raise(Signal::SIGKILL)),
        Kind::Interrupt => drop(nix::sys::signal::kill(
            nix::unistd::getpid(),
            Signal::SIGINT,
        )),
    }
}

#[cfg(debug_assertions)]
fn asked_for() -> Option<(Kind, usize)> {
    let text = std::env::var("IPTABLES_LAB_FAULT").ok()?;
    let (kind, number) = text.split_once(':')?;
    let kind = match kind {
        "panic" => Kind::Panic,
        "kill" => Kind::Kill,
        "interrupt" => Kind::Interrupt,
        _ => return None,
    };
    Some((kind, number.parse().ok()?))
}
