//! The way through a REST endpoint: Supabase, PostgREST, or the gateway.
//!
//! A request is one call of a function with bytes in and bytes out, and can be repeated at will.

mod address;
mod answer;
mod client;
mod credentials;
mod retry;
mod trouble;

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use crate::error::{Error, Result};
use crate::network::chunks::ChunkSize;
use crate::network::driver::Driver;
use crate::network::interrupt::Interrupt;
use crate::network::options::Options;
use crate::network::transport::Transport;
use answer::{Answer, BINARY, Failure};
use retry::{MAX_ATTEMPTS, Remedy};

pub use address::{Endpoint, of_database};
pub use credentials::{Credentials, TokenProvider};

/// Chooses the schema of the function that is called by POST.
const CONTENT_PROFILE: HeaderName = HeaderName::from_static("content-profile");

/// The longest answer that is read: a message has 64 MiB at most before compression.
const MAX_ANSWER_BYTES: usize = 80 << 20;

/// The two protocol functions behind a REST endpoint.
pub struct HttpTransport {
    driver: Driver,
    client: Client,
    endpoint: Endpoint,
    credentials: Credentials,
    provider: Option<TokenProvider>,
    schema: Option<HeaderValue>,
    chunk: ChunkSize,
}

impl HttpTransport {
    /// Makes ready; nothing is sent yet.
    ///
    /// # Errors
    /// The address or an option cannot be used.
    pub fn new(
        address: &str,
        mut credentials: Credentials,
        provider: Option<TokenProvider>,
        options: &Options,
    ) -> Result<HttpTransport> {
        let endpoint = Endpoint::parse(address)?;
        if let (Some(provider), false) = (&provider, credentials.has_token())
            && let Some(token) = provider()
        {
            credentials.set_token(&token)?;
        }
        let schema = options.schema.as_deref().map(HeaderValue::from_str).transpose().map_err(|_| {
            Error::state("the setting network_schema holds characters that a request cannot carry")
        })?;
        Ok(HttpTransport {
            driver: Driver::new()?,
            client: client::build(options)?,
            endpoint,
            credentials,
            provider,
            schema,
            chunk: ChunkSize::new(options.chunk_bytes),
        })
    }

    /// Calls a function, again and again where that may help.
    fn call(
        &mut self,
        url: &Url,
        function: &str,
        request: &[u8],
        interrupt: &Interrupt<'_>,
    ) -> Result<Vec<u8>> {
        let (mut attempt, mut has_new_token) = (0, false);
        loop {
            let asked = self.driver.run(interrupt, self.ask(url, function, request))?;
            let Failure { error, remedy, retry_after } = match asked {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => failure,
            };
            match remedy {
                Remedy::Token if !has_new_token && self.take_new_token()? => has_new_token = true,
                Remedy::Again if attempt + 1 < MAX_ATTEMPTS => {
                    let Some(pause) = retry::pause(attempt, retry_after, retry::chance()) else {
                        return Err(asks_to_wait(&error, retry_after));
                    };
                    interrupt.sleep(pause)?;
                    attempt += 1;
                }
                _ => return Err(error),
            }
        }
    }

    fn take_new_token(&mut self) -> Result<bool> {
        let Some(token) = self.provider.as_ref().and_then(|provider| provider()) else { return Ok(false) };
        self.credentials.set_token(&token)?;
        Ok(true)
    }

    /// One request.
    async fn ask(&self, url: &Url, function: &str, request: &[u8]) -> std::result::Result<Vec<u8>, Failure> {
        let headers = self.credentials.headers().map_err(|error| Failure::new(Remedy::None, error))?;
        let mut builder = self.client.post(url.clone()).headers(headers);
        builder = builder.header(CONTENT_TYPE, BINARY).header(ACCEPT, BINARY);
        if let Some(schema) = &self.schema {
            builder = builder.header(CONTENT_PROFILE, schema);
        }
        let host = &self.endpoint.host;
        let sent = builder.body(request.to_vec()).send().await;
        let response = sent.map_err(|error| trouble::failure(error, host))?;
        let mut answer = read(response, host).await?;
        if answer.status != 200 {
            let text = String::from_utf8_lossy(&answer.body);
            answer.body = self.credentials.scrub(&text).into_bytes();
        }
        answer::judge(answer, host, function)
    }
}

impl Transport for HttpTransport {
    fn push(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let url = self.endpoint.push.clone();
        self.call(&url, "cloudsync_push", request, interrupt)
    }

    fn pull(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let url = self.endpoint.pull.clone();
        self.call(&url, "cloudsync_pull", request, interrupt)
    }

    fn pull_schema(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let url = self.endpoint.pull_schema.clone();
        self.call(&url, "cloudsync_pull_schema", request, interrupt)
    }

    fn create_tables(&mut self, request: &[u8], interrupt: &Interrupt<'_>) -> Result<Vec<u8>> {
        let url = self.endpoint.create_tables.clone();
        self.call(&url, "cloudsync_create_tables", request, interrupt)
    }

    fn chunk(&mut self) -> &mut ChunkSize {
        &mut self.chunk
    }

    fn is_reusable(&self) -> bool {
        true
    }
}

async fn read(mut response: Response, host: &str) -> std::result::Result<Answer, Failure> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let media_type = header(CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let retry_after = header(RETRY_AFTER).and_then(retry::retry_after);
    let redirected_to = header(LOCATION)
        .and_then(|location| response.url().join(location).ok())
        .map(|url| url.origin().ascii_serialization());
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|error| trouble::failure(error, host))? {
        if body.len() + bytes.len() > MAX_ANSWER_BYTES {
            let message = format!("{host} answers with more than {MAX_ANSWER_BYTES} bytes");
            return Err(Failure::new(Remedy::Smaller, Error::TooLarge(message)));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(Answer { status, media_type, retry_after, redirected_to, body })
}

/// The server wants a longer pause than is waited out here.
fn asks_to_wait(error: &Error, retry_after: Option<Duration>) -> Error {
    let seconds = retry_after.unwrap_or_default().as_secs();
    Error::state(format!("{error}; it asks to try again in {seconds} seconds"))
}
