//! What to do after a failed request: decided by the error's code in the body, as the HTTP status of a
//! deadlock and of a fault in the program is the same.
//!
//! Source: PostgreSQL documentation, "PostgreSQL Error Codes"; PostgREST documentation, "Errors".

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// How often a request is sent at most.
pub const MAX_ATTEMPTS: u32 = 6;
/// The first pause lasts up to this, each further one up to twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// No pause that we choose lasts longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// No pause that the server asks for is waited out if it is longer: the application decides then.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// What may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The same again, after a pause.
    Again,
    /// Less in one request.
    Smaller,
    /// Another token.
    Token,
    /// Nothing that can be done here.
    None,
}

/// By the code of a JSON error: a SQLSTATE, PostgREST's or the gateway's own.
pub fn by_code(code: &str) -> Remedy {
    match code {
        // Cancelled by the statement timeout.
        "57014" | "CSG413" | "PT413" => Remedy::Smaller,
        // Serialization failure, deadlock, lock not available; the server goes down or comes up.
        "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" => Remedy::Again,
        // PostgREST has no connection, or no free one.
        "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" => Remedy::Again,
        "CSG429" | "PT429" | "PT503" => Remedy::Again,
        // No, a bad, or an expired token.
        "PGRST301" | "PGRST302" | "PGRST303" => Remedy::Token,
        // Connection failures, and resources that are used up for now.
        _ if code.starts_with("08") || code.starts_with("53") => Remedy::Again,
        _ => Remedy::None,
    }
}

/// By the status, of an answer that says nothing else: a proxy's.
pub fn by_status(status: u16) -> Remedy {
    match status {
        408 | 425 | 429 | 500..=599 => Remedy::Again,
        413 => Remedy::Smaller,
        401 => Remedy::Token,
        _ => Remedy::None,
    }
}

/// The pause before another attempt, counted from 0: what the server asks for, or else any time up to a
/// bound that doubles, so that many devices do not come back at the same moment. `None`: longer than
/// anyone should be kept waiting.
pub fn pause(attempt: u32, retry_after: Option<Duration>, chance: f64) -> Option<Duration> {
    if let Some(asked) = retry_after {
        return (asked <= LONGEST_RETRY_AFTER).then_some(asked);
    }
    let bound = FIRST_PAUSE.saturating_mul(2u32.saturating_pow(attempt)).min(LONGEST_PAUSE);
    Some(bound.mul_f64(chance.clamp(0.0, 1.0)))
}

/// The seconds of a header `Retry-After`. Its other form, a date, needs clocks that agree, and is ignored.
pub fn retry_after(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

/// A number between 0 and 1: chance enough for pauses, as each hasher has keys of its own.
pub fn chance() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides() {
        for (code, remedy) in [
            ("40001", Remedy::Again),
            ("40P01", Remedy::Again),
            ("55P03", Remedy::Again),
            ("57014", Remedy::Smaller),
            ("57P01", Remedy::Again),
            ("53300", Remedy::Again),
            ("08006", Remedy::Again),
            ("PGRST003", Remedy::Again),
            ("CSG429", Remedy::Again),
            ("CSG413", Remedy::Smaller),
            ("PGRST301", Remedy::Token),
            ("PGRST303", Remedy::Token),
            ("PGRST202", Remedy::None),
            ("PGRST107", Remedy::None),
            ("42501", Remedy::None),
            ("22P02", Remedy::None),
            ("23505", Remedy::None),
            ("25006", Remedy::None),
            ("XX000", Remedy::None),
            ("P0001", Remedy::None),
            ("", Remedy::None),
        ] {
            assert_eq!(by_code(code), remedy, "{code}");
        }
    }

    #[test]
    fn without_a_code_the_status_does() {
        for (status, remedy) in [
            (500, Remedy::Again),
            (502, Remedy::Again),
            (503, Remedy::Again),
            (504, Remedy::Again),
            (429, Remedy::Again),
            (413, Remedy::Smaller),
            (401, Remedy::Token),
            (400, Remedy::None),
            (403, Remedy::None),
            (404, Remedy::None),
            (407, Remedy::None),
        ] {
            assert_eq!(by_status(status), remedy, "{status}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let longest = |attempt| pause(attempt, None, 1.0).unwrap();
        assert_eq!(longest(0), FIRST_PAUSE);
        assert_eq!(longest(1), FIRST_PAUSE * 2);
        assert_eq!(longest(4), FIRST_PAUSE * 16);
        assert_eq!(longest(99), LONGEST_PAUSE);
        assert_eq!(pause(3, None, 0.0), Some(Duration::ZERO));
        assert!((0..1000).map(|_| chance()).all(|chance| (0.0..=1.0).contains(&chance)));
    }

    #[test]
    fn the_server_may_ask_for_a_pause_but_not_for_any() {
        let asked = |header| retry_after(header).and_then(|asked| pause(0, Some(asked), 0.5));
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("0"), Some(Duration::ZERO));
        assert_eq!(asked("31"), None);
        assert_eq!(retry_after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(retry_after("-1"), None);
    }
}
