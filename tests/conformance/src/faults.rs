//! A proxy that does badly what proxies do.
