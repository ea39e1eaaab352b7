//! How many requests one caller may make: a bucket of tokens for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;

use crate::error::{ApiError, Result};

/// Callers that are remembered at once. One who is forgotten starts with a full bucket.
const MAX_CALLERS: usize = 100_000;

/// Who is counted: a digest of a token, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// The digest of a token that was found authentic.
    Token([u8; 32]),
    /// The network address.
    Address(std::net::IpAddr),
}

/// The buckets of all callers.
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<Caller, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimit {
    /// So many requests a second in the long run, and so many at once; no limit if the first is 0.
    pub fn new(per_second: u32, burst: u32) -> RateLimit {
        RateLimit { per_second: per_second.into(), burst: burst.into(), buckets: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `CSG429` with the seconds to wait, if the caller has used up what it may.
    pub fn take(&self, caller: Caller, now: Instant) -> Result<()> {
        if self.per_second <= 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_CALLERS && !buckets.contains_key(&caller) {
            self.forget_the_full(&mut buckets, now);
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { left: self.burst, at: now });
        bucket.left = self.filled(*bucket, now);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - bucket.left) / self.per_second);
        Err(too_many(wait))
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.burst)
    }

    /// A full bucket is as good as none. If all are in use, everyone starts anew rather than the memory
    /// growing.
    fn forget_the_full(&self, buckets: &mut HashMap<Caller, Bucket>, now: Instant) {
        buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
        if buckets.len() >= MAX_CALLERS {
            buckets.clear();
        }
    }
}

fn too_many(wait: Duration) -> ApiError {
    let seconds = wait.as_secs() + 1;
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "CSG429", "Too many requests")
        .with_hint(format!("Try again in {seconds} s"))
        .with_header(RETRY_AFTER, &seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u8) -> Caller {
        Caller::Token([number; 32])
    }

    #[test]
    fn a_burst_is_allowed_and_then_the_rate() {
        let limit = RateLimit::new(2, 3);
        let start = Instant::now();
        for _ in 0..3 {
            limit.take(caller(1), start).unwrap();
        }
        let error = limit.take(caller(1), start).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code.as_str()), (429, "CSG429"));
        assert_eq!(error.headers.len(), 1);
        limit.take(caller(2), start).unwrap();
        limit.take(caller(1), start + Duration::from_millis(500)).unwrap();
        limit.take(caller(1), start + Duration::from_millis(500)).unwrap_err();
        for _ in 0..3 {
            limit.take(caller(1), start + Duration::from_secs(60)).unwrap();
        }
        limit.take(caller(1), start + Duration::from_secs(60)).unwrap_err();
    }

    #[test]
    fn memory_is_bounded() {
        let limit = RateLimit::new(1, 1);
        let now = Instant::now();
        for number in 0..u32::try_from(MAX_CALLERS).unwrap() + 10 {
            limit.take(Caller::Address(std::net::Ipv4Addr::from(number).into()), now).unwrap();
        }
        assert!(limit.buckets.lock().unwrap().len() <= MAX_CALLERS);
    }

    #[test]
    fn zero_means_no_limit() {
        let limit = RateLimit::new(0, 0);
        for _ in 0..100 {
            limit.take(caller(1), Instant::now()).unwrap();
        }
    }
}
