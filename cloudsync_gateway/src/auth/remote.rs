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
        Ok(RemoteKeys { url: url.to_owned(), client, state: Mutex::default() })
    }

    /// The keys, fetched anew if they are old or not `sufficient`. If the source does not answer, the
    /// keys of before go on being used.
    pub async fn keys(&self, sufficient: impl Fn(&[VerificationKey]) -> bool) -> Arc<Vec<VerificationKey>> {
        // Held while fetching: those who come meanwhile want the same answer.
        let mut state = self.state.lock().await;
        let is_fresh = state.fetched_at.is_some_and(|at| at.elapsed() < MAX_AGE);
        let may_try = state.tried_at.is_none_or(|at| at.elapsed() >= MIN_INTERVAL);
        if may_try && !(is_fresh && sufficient(&state.keys)) {
            state.tried_at = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    state.keys = Arc::new(keys);
                    state.fetched_at = Some(Instant::now());
                }
                Err(error) => {
                    tracing::warn!(error = %describe(error.as_ref()), "jwt.jwks_url cannot be fetched");
                }
            }
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
