//! The PostgreSQL extension `cloudsync`.

pgrx::pg_module_magic!();
