//! A request and what is expected of its answer, in one line of a table.

use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::world::{SECRET, world};

/// The media type of cloudsync's messages.
pub const OCTETS: &str = "application/octet-stream";

/// A request.
#[derive(Clone)]
pub struct Ask {
    gateway: Option<String>,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request by any method.
pub fn ask(method: &str, path: &str) -> Ask {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/rpc/{path}") };
    Ask { gateway: None, method: method.to_owned(), path, headers: Vec::new(), body: Vec::new() }
}

/// GET of a function, or of a path that begins with a slash.
pub fn get(path: &str) -> Ask {
    ask("GET", path)
}

/// POST to a function.
pub fn post(path: &str) -> Ask {
    ask("POST", path)
}

impl Ask {
    /// To another gateway than the usual one.
    pub fn at(mut self, gateway: &str) -> Ask {
        self.gateway = Some(gateway.to_owned());
        self
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an `Accept`.
    pub fn accepting(self, range: &str) -> Ask {
        self.header("accept", range)
    }

    /// With a body of this media type.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// With a body in JSON.
    pub fn json(self, body: &str) -> Ask {
        self.body("application/json", body)
    }

    /// With bytes, and for bytes.
    pub fn octets(self, body: impl Into<Vec<u8>>) -> Ask {
        self.body(OCTETS, body).accepting(OCTETS)
    }

    /// With this token.
    pub fn token(self, token: &str) -> Ask {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// As a role, with a fresh token of the usual secret.
    pub fn role(self, role: &str) -> Ask {
        self.token(&token(&json!({ "role": role })))
    }

    /// As the role `authenticated` for a user.
    pub fn user(self, sub: &str) -> Ask {
        self.token(&token(&json!({ "role": "authenticated", "sub": sub })))
    }

    /// Sends it.
    pub fn send(self) -> Answer {
        let world = world();
        world.runtime.block_on(self.send_async())
    }

    /// Sends it from within the runtime.
    pub async fn send_async(self) -> Answer {
        let world = world();
        let url = format!("{}{}", self.gateway.as_deref().unwrap_or(&world.gateway), self.path);
        let method = self.method.parse::<reqwest::Method>().unwrap();
        let mut request = world.http.request(method, url).body(self.body);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let response = request.send().await.expect("the gateway answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }
}

/// A token of the usual secret.
pub fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {:?} {:?}", self.status, self.headers, String::from_utf8_lossy(&self.body))
    }
}

/// What an answer must be like.
pub struct Expected {
    status: u16,
    code: Option<&'static str>,
    body: Option<Vec<u8>>,
    headers: Vec<(&'static str, String)>,
}

/// Success with this body.
pub fn ok(body: impl AsRef<[u8]>) -> Expected {
    Expected { status: 200, code: None, body: Some(body.as_ref().to_vec()), headers: Vec::new() }
}

/// This status, whatever the body.
pub fn status(status: u16) -> Expected {
    Expected { status, code: None, body: None, headers: Vec::new() }
}

/// This error.
pub fn error(status: u16, code: &'static str) -> Expected {
    Expected { status, code: Some(code), body: None, headers: Vec::new() }
}

impl Expected {
    /// With a header of this value.
    pub fn header(mut self, name: &'static str, value: &str) -> Expected {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: &str) -> Expected {
        self.body = Some(body.as_bytes().to_vec());
        self
    }

    /// Checks an answer.
    pub fn check(&self, answer: &Answer) {
        assert_eq!(answer.status, self.status, "{answer:?}");
        if let Some(code) = self.code {
            let body = answer.json();
            assert_eq!(body["code"], code, "{answer:?}");
            let mut keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(keys, ["code", "details", "hint", "message"]);
            assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
            assert!(answer.header("proxy-status").ends_with(&format!("; error={code}")), "{answer:?}");
        }
        if let Some(body) = &self.body {
            assert_eq!(&answer.body, body, "{answer:?}");
        }
        for (name, value) in &self.headers {
            assert_eq!(answer.header(name), value, "{name} of {answer:?}");
        }
    }
}

/// One test for each line: a request, and what is expected.
macro_rules! table {
    ($($name:ident: $ask:expr => $expected:expr;)*) => {$(
        #[test]
        fn $name() {
            $expected.check(&$ask.send());
        }
    )*};
}
pub(crate) use table;
