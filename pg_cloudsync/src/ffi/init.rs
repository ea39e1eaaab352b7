//! What happens when PostgreSQL loads the library.

use pgrx::pg_guard;

/// Replaces the panic hook that the binding installs: it would collect a Rust backtrace, which then
/// goes to the client in the DETAIL of the error, if the server's environment asks for backtraces.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    std::panic::set_hook(Box::new(|_| {}));
}
