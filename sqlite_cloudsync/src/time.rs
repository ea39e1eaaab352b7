//! The one place that reads this device's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudsync_shared::hlc::Millis;

/// Now. A clock before 1970 counts as 1970.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
