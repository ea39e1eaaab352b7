//! The databases behind the gateway: connections, what is known of their functions and roles, and the
//! transaction in which a request runs.

pub mod address;
pub mod catalog;
mod lease;
mod pool;
mod tls;
pub mod transaction;

pub use lease::Lease;
pub use pool::Database;
pub use tls::public_client_config;
