//! What an authentic token must say to be accepted.
//!
//! Source: PostgREST documentation, "JWT Claims Validation": a skew of 30 seconds, `exp`, `nbf` and `iat`
//! if they are there, `aud` only if an audience is configured.

use serde_json::{Map, Value};

use crate::error::{ApiError, Result};

/// Clocks may differ by this many seconds.
const SKEW_SECONDS: i64 = 30;

/// Checks the claims at a time in seconds.
///
/// # Errors
/// `PGRST303`, with the first claim that does not hold.
pub fn check(claims: &Map<String, Value>, audience: Option<&str>, now: i64) -> Result<()> {
    if let Some(expires) = seconds(claims, "exp")?
        && now.saturating_sub(SKEW_SECONDS) > expires
    {
        return Err(off("JWT expired", now.saturating_sub(expires)));
    }
    if let Some(begins) = seconds(claims, "nbf")?
        && now.saturating_add(SKEW_SECONDS) < begins
    {
        return Err(off("JWT not yet valid", begins.saturating_sub(now)));
    }
    if let Some(issued) = seconds(claims, "iat")?
        && now.saturating_add(SKEW_SECONDS) < issued
    {
        return Err(off("JWT issued at future", issued.saturating_sub(now)));
    }
    check_audience(claims.get("aud"), audience)
}

fn off(message: &str, by: i64) -> ApiError {
    ApiError::invalid_claims(message).with_details(format!("Invalid by {by} seconds"))
}

fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        // A time beyond the range of the type saturates, which is as good as for ever.
        Some(Value::Number(number)) => {
            Ok(number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64)))
        }
        Some(_) => Err(ApiError::invalid_claims(&format!("The JWT '{name}' claim must be a number"))),
    }
}

/// A token without `aud` is for everyone.
fn check_audience(claim: Option<&Value>, audience: Option<&str>) -> Result<()> {
    let wrong_kind =
        || ApiError::invalid_claims("The JWT 'aud' claim must be a string or an array of strings");
    let named: Vec<&str> = match claim {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) if several.is_empty() => return Ok(()),
        Some(Value::Array(several)) => {
            several.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong_kind)?
        }
        Some(_) => return Err(wrong_kind()),
    };
    match audience {
        Some(audience) if !named.contains(&audience) => Err(ApiError::invalid_claims("JWT not in audience")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn message(claims: Value, audience: Option<&str>) -> Option<String> {
        let error = check(claims.as_object().unwrap(), audience, NOW).err()?;
        assert_eq!((error.status.as_u16(), error.code.as_str()), (401, "PGRST303"));
        Some(error.message)
    }

    #[test]
    fn times_have_thirty_seconds_of_leeway() {
        assert_eq!(message(json!({"exp": NOW - 30}), None), None);
        assert_eq!(message(json!({"exp": NOW - 31}), None).unwrap(), "JWT expired");
        assert_eq!(message(json!({"nbf": NOW + 30}), None), None);
        assert_eq!(message(json!({"nbf": NOW + 31}), None).unwrap(), "JWT not yet valid");
        assert_eq!(message(json!({"iat": NOW + 31}), None).unwrap(), "JWT issued at future");
        assert_eq!(message(json!({"exp": 1e300, "nbf": -1e300}), None), None);
        assert_eq!(message(json!({"exp": (NOW - 31) as f64 + 0.9}), None).unwrap(), "JWT expired");
        assert_eq!(
            message(json!({"exp": "tomorrow"}), None).unwrap(),
            "The JWT 'exp' claim must be a number"
        );
        assert_eq!(message(json!({}), None), None);
    }

    #[test]
    fn the_audience_counts_if_one_is_configured() {
        let cases = [
            (json!({"aud": "app"}), true),
            (json!({"aud": ["x", "app"]}), true),
            (json!({"aud": []}), true),
            (json!({}), true),
            (json!({"aud": "other"}), false),
            (json!({"aud": ["x"]}), false),
            (json!({"aud": 1}), false),
            (json!({"aud": [1]}), false),
        ];
        for (claims, holds) in cases {
            assert_eq!(message(claims.clone(), Some("app")).is_none(), holds, "{claims}");
        }
        assert_eq!(message(json!({"aud": "other"}), None), None);
        assert!(message(json!({"aud": 1}), None).is_some());
    }
}
