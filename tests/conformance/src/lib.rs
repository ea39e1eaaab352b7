//! cloudsync tests: conformance.
