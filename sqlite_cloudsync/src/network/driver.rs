//! Runs network work on the calling thread: no thread of ours lives in a process that only loaded an
//! extension. (Looking a host name up takes a short-lived one.)

use std::future::Future;
use std::pin::pin;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::{Error, Result};
use crate::network::interrupt::{Interrupt, TICK};

/// The runtime of one transport. What it drives stands still between calls.
pub struct Driver(Option<Runtime>);

impl Driver {
    /// Makes one.
    ///
    /// # Errors
    /// The system refuses, or the caller is itself an asynchronous task.
    pub fn new() -> Result<Driver> {
        if Handle::try_current().is_ok() {
            return Err(Error::state(
                "a sync blocks its thread: call it through spawn_blocking, not from an asynchronous task",
            ));
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime
            .map(|runtime| Driver(Some(runtime)))
            .map_err(|error| Error::network(format!("no network runtime: {error}")))
    }

    /// Waits for work, and drops it if the connection is interrupted meanwhile.
    ///
    /// # Errors
    /// The connection was interrupted.
    pub fn run<T>(&self, interrupt: &Interrupt<'_>, work: impl Future<Output = T>) -> Result<T> {
        let Some(runtime) = &self.0 else { return Err(Error::network("the network runtime has ended")) };
        runtime.block_on(async {
            let mut work = pin!(work);
            loop {
                match tokio::time::timeout(TICK, work.as_mut()).await {
                    Ok(done) => return Ok(done),
                    Err(_) => interrupt.check()?,
                }
            }
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A host name that is still being looked up must not hold up who closes the database.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
