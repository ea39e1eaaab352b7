//! The oracle of row-level security: random tables, policies, users, devices and histories on a real
//! server. After each sync a device holds just what `SELECT` shows to its user, and nothing that was said
//! to it names what its user has never been allowed to see.

pub mod canary;
pub mod content;
pub mod guide;
pub mod lost;
pub mod policy;
pub mod rules;
pub mod schema;
pub mod shown;
pub mod story;
pub mod tap;
pub mod watch;
pub mod world;
pub mod writes;
