//! Keys that are published at an address, and may change there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::sync::Mutex;

use crate::auth::keys::{VerificationKey, parse_set};
use crate::database::public_client_config;
use crate::rpc::describe;

/// How long fetched keys are trusted without a look at the source. Source: Supabase documentation,
/// "JWT Signing Keys": its edge caches them for as long.
const MAX_AGE: Duration = Duration::from_secs(600);

/// A token that names an unknown key makes us look, but not more often than this.
const MIN_INTERVAL: Duration = Duration::from_secs(30);

/// How long the source may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest set of keys.
const MAX_BYTES: usize = 256 << 10;

/// The keys at one address, as they were a short while ago.
pub struct RemoteKeys {
    url: String,
    client: reqwest::Client,
    min_interval: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Arc<Vec<VerificationKey>>,
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
}

impl RemoteKeys {
    /// Sets the fetching up; nothing is fetched yet.
    ///
    /// # Errors
    /// The HTTP client cannot be made.
    pub fn new(url: &str) -> Result<RemoteKeys> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(public_client_config()?)
            .timeout(FETCH_TIMEOUT)
            .build()
            .context("the HTTP client for jwt.jwks_url cannot be made")?;
        Ok(RemoteKeys { url: url.to_owned(), client, min_interval: MIN_INTERVAL, state: Mutex::default() })
    }

    /// The keys, fetched anew if they are old or not `sufficient`. Keys that are sufficient are not waited
    /// for; if the source does not answer, those of before go on being used.
    pub async fn keys(
        self: &Arc<Self>,
        sufficient: impl Fn(&[VerificationKey]) -> bool,
    ) -> Arc<Vec<VerificationKey>> {
        let mut state = self.state.lock().await;
        let is_fresh = state.fetched_at.is_some_and(|at| at.elapsed() < MAX_AGE);
        let is_sufficient = sufficient(&state.keys);
        let may_try = state.tried_at.is_none_or(|at| at.elapsed() >= self.min_interval);
        if !may_try || (is_fresh && is_sufficient) {
            return state.keys.clone();
        }
        state.tried_at = Some(Instant::now());
        if is_sufficient {
            let this = self.clone();
            tokio::spawn(async move {
                let fetched = this.fetch().await;
                this.state.lock().await.update(fetched);
            });
        } else {
            // Held while fetching: those who come meanwhile may want the new keys too.
            let fetched = self.fetch().await;
            state.update(fetched);
        }
        state.keys.clone()
    }

    async fn fetch(&self) -> Result<Vec<VerificationKey>> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            ensure!(body.len() <= MAX_BYTES, "the set of keys is longer than {MAX_BYTES} bytes");
        }
        parse_set(std::str::from_utf8(&body).context("the set of keys is not UTF-8")?)
    }
}

impl State {
    fn update(&mut self, fetched: Result<Vec<VerificationKey>>) {
        match fetched {
            Ok(keys) => {
                self.keys = Arc::new(keys);
                self.fetched_at = Some(Instant::now());
            }
            Err(error) => tracing::warn!(error = %describe(error.as_ref()), "jwt.jwks_url cannot be fetched"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::routing::get;

    use super::*;

    /// A source that publishes one more key each time it is asked.
    async fn source(fetches: Arc<AtomicUsize>) -> String {
        let answer = move || {
            let count = fetches.fetch_add(1, Ordering::SeqCst) + 1;
            let key = |id: usize| format!("{{\"kty\":\"oct\",\"kid\":\"{id}\",\"k\":\"AAAA\"}}");
            let keys = (1..=count).map(key).collect::<Vec<_>>().join(",");
            async move { format!("{{\"keys\":[{keys}]}}") }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, Router::new().route("/", get(answer))).into_future());
        format!("http://{address}/")
    }

    #[tokio::test]
    async fn a_key_that_is_not_known_is_looked_for() {
        let fetches = Arc::new(AtomicUsize::new(0));
        let mut keys = RemoteKeys::new(&source(fetches.clone()).await).unwrap();
        keys.min_interval = Duration::ZERO;
        let keys = Arc::new(keys);
        let known = async |needed: usize| keys.keys(|known| known.len() >= needed).await.len();
        assert_eq!(known(1).await, 1);
        assert_eq!(known(1).await, 1, "what is known is not fetched again");
        assert_eq!(known(2).await, 2, "the key that was published since is found");
        assert_eq!(fetches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn keys_outlive_their_source() {
        let mut keys = RemoteKeys::new("http://127.0.0.1:9/").unwrap();
        keys.min_interval = Duration::ZERO;
        let one = parse_set(r#"{"kty":"oct","k":"AAAA"}"#).unwrap();
        keys.state.get_mut().keys = Arc::new(one);
        assert_eq!(Arc::new(keys).keys(|known| known.len() > 1).await.len(), 1);
    }
}
