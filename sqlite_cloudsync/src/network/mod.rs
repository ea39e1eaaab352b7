//! Sync over a network: a transport carries messages, the session decides which.

mod chunks;
mod creation;
mod driver;
mod functions;
mod http;
mod interrupt;
mod options;
mod pieces;
mod postgres;
mod progress;
mod report;
mod session;
mod state;
mod tls;
mod transport;

pub use functions::{Callbacks, register};
pub use http::TokenProvider;
pub use interrupt::Interrupt;
pub use progress::{Phase, Progress, ProgressCallback};
pub use session::{SendReport, sync};
pub use state::ServerState;
pub use transport::Transport;

/// An error and its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let reason = inner.to_string();
        // Some repeat their cause in their own words.
        if !text.contains(&reason) {
            text.push_str(": ");
            text.push_str(&reason);
        }
        cause = inner.source();
    }
    text
}
