//! Sync over a network: a transport carries messages, the session decides which.

mod functions;
mod postgres;
mod progress;
mod session;
mod state;
mod tls;
mod transport;

pub use functions::register;
pub use progress::{Phase, Progress, ProgressCallback};
pub use session::{SendReport, sync};
pub use transport::Transport;
