//! Media types: what a client sends, accepts and is sent.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

use crate::database::catalog::Returns;

/// What carries cloudsync's messages.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// What arguments by name travel in.
pub const JSON: &str = "application/json";

/// The media type of the body, JSON if nothing is said.
pub fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.map_or_else(|| JSON.to_owned(), essence)
}

/// What the client accepts, the best first; anything if nothing is said.
pub fn accepted(headers: &HeaderMap) -> Vec<String> {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
        ranges.extend(
            value
                .split(',')
                .filter(|range| !range.trim().is_empty())
                .map(|range| (weight(range), essence(range))),
        );
    }
    if ranges.is_empty() {
        return vec!["*/*".to_owned()];
    }
    // Stable: of equal weights the first named comes first.
    ranges.sort_by(|(a, _), (b, _)| b.cmp(a));
    ranges.into_iter().map(|(_, range)| range).collect()
}

/// How a function's result is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// As JSON.
    Json,
    /// As it is, under the media type that the function's domain is named after.
    Raw(String),
}

/// The first accepted way that the function offers. PostgREST knows JSON for every function, and a
/// domain's media type for the functions that return it; `*/*` means JSON unless the domain is named so.
pub fn negotiate(accepted: &[String], returns: &Returns) -> Option<Output> {
    let raw = returns.media_type.as_deref().filter(|_| !returns.is_set);
    accepted.iter().find_map(|range| match raw {
        Some("*/*") => Some(Output::Raw(OCTET_STREAM.to_owned())),
        Some(own) if own == range => Some(Output::Raw(own.to_owned())),
        _ if range == JSON || range == "*/*" => Some(Output::Json),
        _ => None,
    })
}

/// A media type without its parameters, in lower case.
fn essence(value: &str) -> String {
    value.split(';').next().unwrap_or_default().trim().to_lowercase()
}

/// The quality of a range in thousandths.
fn weight(range: &str) -> u16 {
    let quality = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    let quality =
        quality.and_then(|quality| quality.trim().parse::<f32>().ok()).filter(|quality| quality.is_finite());
    // Within bounds, so nothing is cut off.
    quality.map_or(1000, |quality| (quality.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, value.parse().unwrap());
        accepted(&headers)
    }

    fn returning(media_type: Option<&str>) -> Returns {
        Returns { is_set: false, is_void: false, media_type: media_type.map(str::to_owned), is_bytes: true }
    }

    #[test]
    fn the_best_accepted_type_comes_first() {
        assert_eq!(
            accept("text/csv;q=0.1, */*;q=0.2, Application/JSON; charset=utf-8"),
            ["application/json", "*/*", "text/csv"]
        );
        assert_eq!(accept("a/b, c/d"), ["a/b", "c/d"]);
        assert_eq!(accepted(&HeaderMap::new()), ["*/*"]);
    }

    #[test]
    fn bytes_come_out_only_if_asked_for_and_only_of_the_domain() {
        let domain = returning(Some(OCTET_STREAM));
        assert_eq!(negotiate(&accept(OCTET_STREAM), &domain), Some(Output::Raw(OCTET_STREAM.into())));
        assert_eq!(negotiate(&accept("*/*"), &domain), Some(Output::Json));
        assert_eq!(negotiate(&accept(JSON), &domain), Some(Output::Json));
        assert_eq!(negotiate(&accept(OCTET_STREAM), &returning(None)), None);
        assert_eq!(negotiate(&accept("text/html"), &domain), None);
        assert_eq!(
            negotiate(&accept("text/html"), &returning(Some("*/*"))),
            Some(Output::Raw(OCTET_STREAM.into()))
        );
        let rows = Returns { is_set: true, ..domain };
        assert_eq!(negotiate(&accept(OCTET_STREAM), &rows), None);
    }

    #[test]
    fn a_strange_quality_is_no_quality() {
        assert_eq!(accept("a/b;q=NaN, c/d;q=9, e/f;q=x, g/h;q=0.9").last().unwrap(), "g/h");
    }
}
