//! Who is counted when requests are limited.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};

/// The address of the client: the peer's, or with trusted proxies in front the one that the outermost of
/// them saw. What stands further left in the header came from outside and may be made up.
pub fn address(headers: &HeaderMap, peer: SocketAddr, trusted_proxies: usize) -> IpAddr {
    if trusted_proxies == 0 {
        return peer.ip();
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> =
        values.flat_map(|value| value.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    let index = hops.len().checked_sub(trusted_proxies);
    index.and_then(|index| hops.get(index)).copied().unwrap_or_else(|| peer.ip())
}

/// Stands for a token without being it.
pub fn token_digest(headers: &HeaderMap) -> [u8; 32] {
    Sha256::digest(headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let peer: SocketAddr = "10.0.0.1:9".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 1.2.3.4".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.7".parse().unwrap());
        let of = |proxies| address(&headers, peer, proxies).to_string();
        assert_eq!(of(0), "10.0.0.1");
        assert_eq!(of(1), "10.0.0.7");
        assert_eq!(of(2), "1.2.3.4");
        assert_eq!(of(9), "10.0.0.1");
    }
}
