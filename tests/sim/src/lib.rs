//! cloudsync tests: sim.
