//! A proxy that does badly what proxies do: it cuts, delays, throttles and repeats requests, and answers
//! them itself, as a seed has it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use crate::random::Random;

/// How many requests of a hundred go wrong.
const FAULTS: u64 = 25;

/// How many requests of a hundred are the first of a blackout, in which so many more get no answer: too
/// many for one sync.
const BLACKOUTS: u64 = 1;
const BLACKOUT: u64 = 8;

/// How large a slice of a throttled answer is, and how long it takes.
const SLICE: usize = 400;
const SLICE_TIME: Duration = Duration::from_millis(1);

/// One way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The request never arrives.
    CutRequest,
    /// Half of it does.
    HalfRequest,
    /// It is carried out, and the answer never arrives.
    CutAnswer,
    /// Half of the answer does.
    HalfAnswer,
    /// It arrives twice.
    Twice,
    /// An older request arrives once more, before it.
    Again,
    Delay,
    Throttle,
    /// The proxy answers.
    Answer(&'static str, &'static str, &'static str),
}

const HTML: &str = "text/html";
const JSON: &str = "application/json; charset=utf-8";

const KINDS: &[Fault] = &[
    Fault::CutRequest,
    Fault::HalfRequest,
    Fault::CutAnswer,
    Fault::HalfAnswer,
    Fault::Twice,
    Fault::Again,
    Fault::Delay,
    Fault::Throttle,
    Fault::Answer("500 Internal Server Error", HTML, "<h1>500</h1>"),
    Fault::Answer("503 Service Unavailable\r\nretry-after: 0", HTML, "<h1>503</h1>"),
    Fault::Answer("413 Content Too Large", HTML, "<h1>413</h1>"),
    Fault::Answer("500 Internal Server Error", JSON, r#"{"code":"57014","message":"statement timeout"}"#),
    Fault::Answer("500 Internal Server Error", JSON, r#"{"code":"40P01","message":"deadlock detected"}"#),
];

struct State {
    random: Random,
    is_healthy: bool,
    /// How many requests are still to go through before all are cut off.
    allowed: Option<u64>,
    blackout: u64,
    /// Requests that went through, to be repeated at a bad moment.
    earlier: Vec<Vec<u8>>,
}

/// A running proxy; its threads end with the process.
pub struct FaultProxy {
    /// The address for devices.
    pub url: String,
    state: Arc<Mutex<State>>,
    faults: Arc<AtomicU64>,
}

impl FaultProxy {
    /// Starts one in front of this host and port.
    ///
    /// # Panics
    /// It cannot listen.
    pub fn start(upstream: &str, seed: u64) -> FaultProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let random = Random::new(seed);
        let state = Arc::new(Mutex::new(State {
            random,
            is_healthy: false,
            allowed: None,
            blackout: 0,
            earlier: Vec::new(),
        }));
        let faults = Arc::new(AtomicU64::new(0));
        let (shared, count, upstream) = (state.clone(), faults.clone(), upstream.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, count, upstream) = (shared.clone(), count.clone(), upstream.clone());
                std::thread::spawn(move || serve(stream, &upstream, &state, &count));
            }
        });
        FaultProxy { url, state, faults }
    }

    /// From now on everything goes through.
    ///
    /// # Panics
    /// A thread of the proxy panicked.
    pub fn heal(&self) {
        self.state.lock().expect("the proxy's state").is_healthy = true;
    }

    /// The next requests go through, so many of them; then all are cut off.
    ///
    /// # Panics
    /// A thread of the proxy panicked.
    pub fn allow(&self, requests: u64) {
        self.state.lock().expect("the proxy's state").allowed = Some(requests);
    }

    /// How many requests went wrong.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

/// Serves one connection until it ends or is cut.
fn serve(mut device: TcpStream, upstream: &str, state: &Mutex<State>, faults: &AtomicU64) {
    while let Some(request) = read_message(&mut device) {
        let (fault, earlier) = choose(state, &request);
        faults.fetch_add(u64::from(fault.is_some()), Ordering::Relaxed);
        if carry(&mut device, upstream, &request, fault, earlier.as_deref()).is_none() {
            return;
        }
    }
}

fn choose(state: &Mutex<State>, request: &[u8]) -> (Option<Fault>, Option<Vec<u8>>) {
    let mut state = state.lock().expect("the proxy's state");
    if state.is_healthy {
        return (None, None);
    }
    if let Some(allowed) = &mut state.allowed {
        return match allowed.checked_sub(1) {
            Some(rest) => {
                *allowed = rest;
                (None, None)
            }
            // The answer is lost: what was asked for has been done.
            None => (Some(Fault::CutAnswer), None),
        };
    }
    if state.blackout == 0 && state.random.below(100) < BLACKOUTS {
        state.blackout = BLACKOUT;
    }
    if state.blackout > 0 {
        state.blackout -= 1;
        return (Some(*state.random.pick(&[Fault::CutRequest, Fault::CutAnswer])), None);
    }
    let fault = (state.random.below(100) < FAULTS).then(|| *state.random.pick(KINDS));
    let count = state.earlier.len() as u64;
    let at = state.random.below(count) as usize;
    let earlier = state.earlier.get(at).cloned();
    state.earlier.push(request.to_vec());
    (fault, earlier)
}

/// `None`: the connection is to be closed.
fn carry(
    device: &mut TcpStream,
    upstream: &str,
    request: &[u8],
    fault: Option<Fault>,
    earlier: Option<&[u8]>,
) -> Option<()> {
    match fault {
        Some(Fault::CutRequest) => return None,
        Some(Fault::HalfRequest) => {
            let mut server = TcpStream::connect(upstream).ok()?;
            let _ = server.write_all(request.get(..request.len() / 2)?);
            return None;
        }
        Some(Fault::Answer(status, kind, body)) => {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            return device.write_all(&[head.as_bytes(), body.as_bytes()].concat()).ok();
        }
        Some(Fault::Twice) => drop(ask(upstream, request)),
        Some(Fault::Again) => drop(earlier.and_then(|earlier| ask(upstream, earlier))),
        Some(Fault::Delay) => sleep(Duration::from_millis(30)),
        _ => {}
    }
    let answer = ask(upstream, request)?;
    match fault {
        Some(Fault::CutAnswer) => None,
        Some(Fault::HalfAnswer) => {
            let _ = device.write_all(answer.get(..answer.len() / 2)?);
            None
        }
        Some(Fault::Throttle) => answer.chunks(SLICE).try_for_each(|slice| {
            sleep(SLICE_TIME);
            device.write_all(slice).ok()
        }),
        _ => device.write_all(&answer).ok(),
    }
}

fn ask(upstream: &str, request: &[u8]) -> Option<Vec<u8>> {
    let mut server = TcpStream::connect(upstream).ok()?;
    server.write_all(request).ok()?;
    read_message(&mut server)
}

/// A request or an answer, head and body, whose length its head tells.
fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 65536]);
    let mut length = None;
    loop {
        if length.is_none()
            && let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(bytes.get(..end)?).to_ascii_lowercase();
            let body = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            length = Some(end + 4 + body.map_or(0, |body| body.trim().parse().unwrap_or(0)));
        }
        if length.is_some_and(|length| bytes.len() >= length) {
            return Some(bytes);
        }
        match stream.read(&mut buffer).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(buffer.get(..count)?),
        }
    }
}
