//! A wire tap: a relay between devices and PostgreSQL that keeps everything that either says.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes of a frame before its body: a tag and a length that counts itself.
const FRAME_HEAD: usize = 5;

/// One message of PostgreSQL's protocol, from the server.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its kind: `D` is a row, `E` an error, `N` a notice.
    pub tag: u8,
    /// What follows the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// The columns of a row, NULLs left out; none of another frame.
    pub fn columns(&self) -> Vec<&[u8]> {
        let mut columns = Vec::new();
        if self.tag != b'D' {
            return columns;
        }
        let mut rest = self.body.get(2..).unwrap_or_default();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            columns.push(after.get(..length).unwrap_or_default());
            rest = after.get(length..).unwrap_or_default();
        }
        columns
    }
}

type Streams = Arc<Mutex<Vec<Vec<u8>>>>;

/// The relay. It ends with the process; its connections end with the devices'.
pub struct Tap {
    port: u16,
    streams: Streams,
    sent: Streams,
}

impl Tap {
    /// Listens on a free port of this machine and relays to `server`.
    ///
    /// # Panics
    /// No port is free.
    pub fn start(server: SocketAddr) -> Tap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let streams = Streams::default();
        let sent = Streams::default();
        let (heard, told) = (streams.clone(), sent.clone());
        thread::spawn(move || {
            for device in listener.incoming().map_while(Result::ok) {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                relay(device, upstream, &heard, &told);
            }
        });
        Tap { port, streams, sent }
    }

    /// The port that devices connect to, without TLS.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The frames that were completed since the last call, on all connections.
    pub fn take(&self) -> Vec<Frame> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter_mut().flat_map(take_frames).collect()
    }

    /// The bytes that devices said since the last call, by connection.
    pub fn take_sent(&self) -> Vec<Vec<u8>> {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.iter_mut().map(std::mem::take).collect()
    }
}

fn take_frames(stream: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut start = 0;
    while let Some(head) = stream.get(start..start + FRAME_HEAD) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let Some(body) = stream.get(start + FRAME_HEAD..start + 1 + length) else { break };
        frames.push(Frame { tag: head[0], body: body.to_vec() });
        start += 1 + length;
    }
    stream.drain(..start);
    frames
}

/// A place for the bytes of one connection, in one direction.
fn keeper(streams: &Streams) -> impl FnMut(&[u8]) + Send + 'static {
    let streams = streams.clone();
    let index = {
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.push(Vec::new());
        streams.len() - 1
    };
    move |bytes| {
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.get_mut(index) {
            stream.extend_from_slice(bytes);
        }
    }
}

fn relay(device: TcpStream, upstream: TcpStream, heard: &Streams, told: &Streams) {
    let (keep_heard, keep_told) = (keeper(heard), keeper(told));
    // Without this, small messages wait for each other's acknowledgement.
    for socket in [&device, &upstream] {
        socket.set_nodelay(true).expect("a TCP option");
    }
    let (device_in, upstream_out) = (device.try_clone(), upstream.try_clone());
    thread::spawn(move || {
        if let (Ok(device), Ok(upstream)) = (device_in, upstream_out) {
            copy(device, upstream, keep_told);
        }
    });
    thread::spawn(move || {
        // Kept before it is passed on: what a device has read is always there to be looked at.
        copy(upstream, device, keep_heard);
    });
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut keep: impl FnMut(&[u8])) {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        keep(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_whole_and_rows_are_split() {
        let row = [b'D', 0, 0, 0, 12, 0, 1, 0, 0, 0, 2, 7, 8];
        let mut stream = [&row[..], &row[..6]].concat();
        let frames = take_frames(&mut stream);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].columns(), vec![&[7u8, 8][..]]);
        assert_eq!(stream, row[..6]);
    }
}
