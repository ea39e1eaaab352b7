//! Which web pages may call.

use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Headers of answers that a page may read besides the usual ones.
const EXPOSED: [HeaderName; 4] = [
    HeaderName::from_static("content-profile"),
    HeaderName::from_static("proxy-status"),
    HeaderName::from_static("retry-after"),
    HeaderName::from_static("www-authenticate"),
];

/// Allows the listed origins, or all if one is `*`. Cookies are never asked for: who calls is in a header
/// that no page sends by itself.
pub fn layer(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
}
