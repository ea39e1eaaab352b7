//! What must be undone however the command ends: by its own return, by an error, or by Ctrl-C.
//!
//! A `Drop` alone is not enough, because a signal ends the process without running it; so each
//! action is also listed here, and the signal handler runs the list, newest first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};

type Action = Box<dyn FnOnce() + Send>;

static PENDING: Mutex<BTreeMap<u64, Action>> = Mutex::new(BTreeMap::new());

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Exit code of a program that was interrupted (128 + SIGINT), as shells report it.
const EXIT_CODE: i32 = 130;

/// Runs its action once: when dropped, or when the process is told to stop.
#[must_use = "the action runs when this is dropped"]
pub struct Guard(u64);

/// Registers `action`.
pub fn on_exit(action: impl FnOnce() + Send + 'static) -> Guard {
    let mut pending = pending();
    let id = pending.last_key_value().map_or(0, |(last, _)| last + 1);
    pending.insert(id, Box::new(action));
    Guard(id)
}

impl Drop for Guard {
    fn drop(&mut self) {
        let action = pending().remove(&self.0);
        if let Some(action) = action {
            action();
        }
    }
}

/// Makes SIGINT, SIGTERM and SIGHUP run what is pending before the process ends.
pub fn install() -> Result<()> {
    let handler = || {
        INTERRUPTED.store(true, Ordering::SeqCst);
        eprintln!("\nstopping");
        loop {
            let newest = pending().pop_last();
            match newest {
                Some((_, action)) => action(),
                None => std::process::exit(EXIT_CODE),
            }
        }
    };
    ctrlc::set_handler(handler).context("install the Ctrl-C handler")
}

/// To be called last: an interrupted process ends when its handler has undone everything, not before.
pub fn finish() {
    while INTERRUPTED.load(Ordering::SeqCst) {
        thread::park();
    }
}

fn pending() -> MutexGuard<'static, BTreeMap<u64, Action>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}
