//! A server for tests: it speaks the protocol without storing anything, and fails by script.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudsync_shared::change::ChangeBatch;
use cloudsync_shared::hlc::{Millis, Version};
use cloudsync_shared::id::RowId;
use cloudsync_shared::message::{
    Epoch, GoneReply, Message, Next, PullReply, PushReply, PushRequest, RowResult, Snapshot, View,
};
use cloudsync_shared::wire;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What requests come over.
pub trait Stream: Read + Write + Send + 'static {}
impl<S: Read + Write + Send + 'static> Stream for S {}

/// What it does with one request.
#[derive(Clone)]
pub enum Act {
    /// What a server should do.
    Serve,
    /// A status, further header lines, a content type and a body.
    Answer(u16, &'static str, &'static str, &'static str),
    /// Closes the connection without an answer.
    Cut,
    /// Announces a longer answer than it sends, and closes.
    CutAnswer,
    /// Sends a right answer byte by byte, this long apart.
    Drip(Duration),
    /// Tells that the request is there, and serves it when it is told to.
    Hold(Sender<()>, Arc<Mutex<Receiver<()>>>),
    /// Does nothing for this long, and then serves.
    Stall(Duration),
}

/// A JSON error with a status and a code.
pub fn refusal(status: u16, body: &'static str) -> Act {
    Act::Answer(status, "", "application/json; charset=utf-8", body)
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of the connection, from 0.
    pub connection: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The rows of a push.
    pub fn rows(&self) -> Option<usize> {
        match wire::decode(&self.body).unwrap() {
            Message::PushRequest(request) => Some(request.changes.row_count()),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Script {
    acts: VecDeque<Act>,
    /// Pushes with longer bodies are answered with 413.
    limit: Option<usize>,
    /// Pushes of more rows are answered with 57014.
    slow_rows: Option<usize>,
    seen: Vec<Seen>,
    rows: u64,
    connections: usize,
}

/// A running server; its threads end with the process.
pub struct Server {
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub fn start(acts: impl IntoIterator<Item = Act>) -> Server {
        Server::listen(acts, Some)
    }

    /// With the certificate of `tests/tls`, for `localhost`.
    pub fn start_tls() -> Server {
        let file = |name: &str| format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"));
        let chain = CertificateDer::pem_file_iter(file("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = Arc::new(config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap());
        let mut server = Server::listen([], move |stream| {
            Some(StreamOwned::new(ServerConnection::new(config.clone()).ok()?, stream))
        });
        server.url = server.url.replace("http://127.0.0.1", "https://localhost");
        server
    }

    fn listen<S: Stream>(
        acts: impl IntoIterator<Item = Act>,
        wrap: impl Fn(TcpStream) -> Option<S> + Send + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script { acts: acts.into_iter().collect(), ..Script::default() }));
        let shared = script.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (script, stream) = (shared.clone(), wrap(stream.unwrap()).unwrap());
                std::thread::spawn(move || connection(stream, number, &script));
            }
        });
        Server { url, script }
    }

    pub fn limit_bodies(&self, bytes: usize) {
        self.script.lock().unwrap().limit = Some(bytes);
    }

    pub fn limit_rows(&self, rows: usize) {
        self.script.lock().unwrap().slow_rows = Some(rows);
    }

    pub fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().acts.extend(acts);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.script.lock().unwrap().seen.clone()
    }

    /// How many acts are left.
    pub fn left(&self) -> usize {
        self.script.lock().unwrap().acts.len()
    }

    /// How many rows were accepted.
    pub fn rows(&self) -> u64 {
        self.script.lock().unwrap().rows
    }
}

fn connection(mut stream: impl Stream, number: usize, script: &Mutex<Script>) {
    while let Some(seen) = read_request(&mut stream, number) {
        let (act, answer) = {
            let mut script = script.lock().unwrap();
            script.seen.push(seen.clone());
            let act = script.acts.pop_front().unwrap_or(Act::Serve);
            let act = limits(&script, &seen, act);
            let rows = matches!(act, Act::Serve | Act::Drip(_) | Act::Stall(_) | Act::Hold(..));
            let answer = serve(&seen, &mut script.rows, rows);
            (act, answer)
        };
        if !perform(&mut stream, act, &answer) {
            return;
        }
    }
}

fn limits(script: &Script, seen: &Seen, act: Act) -> Act {
    if !matches!(act, Act::Serve) {
        return act;
    }
    if script.limit.is_some_and(|limit| seen.body.len() > limit) {
        return Act::Answer(413, "", "text/html", "<h1>413 Request Entity Too Large</h1>");
    }
    if script.slow_rows.is_some_and(|rows| seen.rows().is_some_and(|sent| sent > rows)) {
        return refusal(
            500,
            r#"{"code":"57014","message":"canceling statement due to statement timeout","details":null,"hint":null}"#,
        );
    }
    act
}

/// `false`: the connection is to be closed.
fn perform(stream: &mut impl Stream, act: Act, answer: &[u8]) -> bool {
    let ok = |length: usize| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}\r\n\r\n"
        )
    };
    match act {
        Act::Serve => stream.write_all(&[ok(answer.len()).as_bytes(), answer].concat()).is_ok(),
        Act::Answer(status, headers, kind, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{headers}\r\n",
                body.len()
            );
            stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).is_ok()
        }
        Act::Cut => false,
        Act::CutAnswer => {
            let half = &answer[..answer.len() / 2];
            let _ = stream.write_all(&[ok(answer.len()).as_bytes(), half].concat());
            false
        }
        Act::Drip(pause) => {
            let _ = stream.write_all(ok(answer.len()).as_bytes());
            answer.iter().all(|byte| {
                std::thread::sleep(pause);
                stream.write_all(&[*byte]).is_ok()
            })
        }
        Act::Hold(here, go_on) => {
            here.send(()).unwrap();
            // An error: nobody waits for the answer any more.
            go_on.lock().unwrap().recv().is_ok() && perform(stream, Act::Serve, answer)
        }
        Act::Stall(time) => {
            std::thread::sleep(time);
            perform(stream, Act::Serve, answer)
        }
    }
}

fn read_request(stream: &mut impl Stream, connection: usize) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(key, _)| key == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
    let mut body = bytes.split_off(end);
    while body.len() < length {
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    Some(Seen { path, headers, body, connection })
}

const EPOCH: Epoch = Epoch([7; 16]);

fn serve(seen: &Seen, rows: &mut u64, count: bool) -> Vec<u8> {
    let Ok(message) = wire::decode(&seen.body) else { return Vec::new() };
    let now = sqlite_cloudsync::apply::now();
    let reply = match message {
        Message::PushRequest(request) => Message::PushReply(push(&request, now, rows, count)),
        Message::PullRequest(request) => Message::PullReply(PullReply {
            epoch: EPOCH,
            server_time: now,
            views: if request.progress.is_none() {
                vec![View::default(); request.tables.len()]
            } else {
                vec![]
            },
            changes: ChangeBatch::default(),
            hidden: false,
            next: Next::Done(Snapshot("1:1:".into())),
            collected: Version::NEVER,
        }),
        _ => Message::GoneReply(GoneReply { epoch: EPOCH, gone: Vec::new() }),
    };
    wire::encode(&reply).unwrap()
}

fn push(request: &PushRequest, now: Millis, rows: &mut u64, count: bool) -> PushReply {
    let mut id = *rows;
    let mut accept = || {
        id += 1;
        RowResult::Accepted(RowId(id))
    };
    let results = request.changes.tables.iter().map(|table| table.rows.iter().map(|_| accept()).collect());
    let results = results.collect();
    if count {
        *rows = id;
    }
    PushReply { epoch: EPOCH, server_time: now, results, restored: ChangeBatch::default(), lost: Vec::new() }
}
