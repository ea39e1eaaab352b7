//! The version of a cell: a hybrid logical clock in 64 bits.
//!
//! The upper 48 bits are milliseconds since 1970, the lower 16 a counter. A local write takes the
//! larger of the present time and one more than the highest version seen, so versions follow real
//! time as long as clocks are sane and follow causality always.
//! Source: S. Kulkarni et al., *Logical Physical Clocks*, OPODIS 2014.

use std::fmt;

/// Milliseconds since 1970-01-01 UTC, as told by a wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

/// How far ahead of the receiver's own time a version may be, unless set otherwise: 5 minutes.
pub const DEFAULT_MAX_DRIFT: Millis = Millis(5 * 60 * 1000);

/// When a cell was written. Greater wins a merge.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

const COUNTER_BITS: u32 = 16;

impl Version {
    /// A cell that was never written: it holds its column's default and loses to every write.
    pub const NEVER: Version = Version(0);
    /// What stood in a table before it was synced: older than every write, newer than nothing.
    pub const BASE: Version = Version(1);
    /// The greatest version there is. It is kept within 63 bits, as both engines store signed integers.
    pub const MAX: Version = Version(i64::MAX as u64);

    /// The first version of a millisecond.
    pub fn from_millis(time: Millis) -> Version {
        Version(time.0.saturating_mul(1 << COUNTER_BITS).min(Version::MAX.0))
    }

    /// The millisecond it was written in, as its author's clock told.
    pub fn millis(self) -> Millis {
        Millis(self.0 >> COUNTER_BITS)
    }

    /// The version of a local write at `now` by a replica that has seen `highest`.
    pub fn tick(now: Millis, highest: Version) -> Version {
        Version::from_millis(now).max(highest.next())
    }

    /// The smallest greater version.
    pub fn next(self) -> Version {
        Version(self.0.saturating_add(1).min(Version::MAX.0))
    }

    /// Whether a receiver whose clock says `now` may take this version.
    pub fn is_within(self, now: Millis, max_drift: Millis) -> bool {
        self.millis() <= Millis(now.0.saturating_add(max_drift.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.millis().0, self.0 & ((1 << COUNTER_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_follows_time_and_never_goes_back() {
        let noon = Millis(1_000_000);
        let first = Version::tick(noon, Version::NEVER);
        assert_eq!(first.millis(), noon);
        assert!(Version::tick(noon, first) > first);
        assert!(Version::tick(Millis(5), first) > first, "a clock set back does not lose to the past");
        assert_eq!(Version::tick(Millis(2_000_000), first).millis(), Millis(2_000_000));
    }

    /// The upper bits once fell off, and a time in the farthest future became one in the past.
    #[test]
    fn a_time_beyond_all_versions_is_the_last_version() {
        assert_eq!(Version::from_millis(Millis(1 << 48)), Version::MAX);
        assert_eq!(Version::from_millis(Millis(u64::MAX)), Version::MAX);
    }

    #[test]
    fn drift_is_bounded() {
        let now = Millis(1_000_000);
        assert!(Version::from_millis(Millis(now.0 + DEFAULT_MAX_DRIFT.0)).is_within(now, DEFAULT_MAX_DRIFT));
        assert!(
            !Version::from_millis(Millis(now.0 + DEFAULT_MAX_DRIFT.0 + 1)).is_within(now, DEFAULT_MAX_DRIFT)
        );
        assert!(!Version::MAX.is_within(now, DEFAULT_MAX_DRIFT));
    }
}
