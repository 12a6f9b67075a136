//! dnstap: recorded queries and answers as protocol buffers in Frame Streams, over a unix socket.
//!
//! Used by the writer thread. The two formats are small enough to be written by hand: fields of
//! dnstap.proto by number, control frames of the bidirectional handshake. A reader that is not
//! there or stops reading is tried again later; what comes meanwhile is dropped.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{Kind, Recorded};
use crate::wire::Transport;

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
/// A reader that takes longer is as good as gone.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between attempts to reach a reader.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_CONTROL: usize = 512;

/// The message types of dnstap.proto for a query; that of its response is one more.
fn query_type(kind: Kind) -> u64 {
    match kind {
        // AUTH_QUERY
        Kind::Answered => 1,
        // CLIENT_QUERY: somebody else is asked.
        Kind::Forwarded => 5,
        // UPDATE_QUERY
        Kind::Update => 13,
    }
}

/// Where frames go.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    stream: Option<UnixStream>,
    tried: Option<Instant>,
    frames: Vec<u8>,
    /// Told once until it works again.
    failing: bool,
}

impl Sink {
    /// A sink that connects when there is something to send.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stream: None,
            tried: None,
            frames: Vec::new(),
            failing: false,
        }
    }

    /// Where it connects to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the frames of a record.
    pub(super) fn add(&mut self, recorded: &Recorded<'_>, identity: &str) {
        for is_query in [true, false] {
            let message = message(recorded, is_query);
            let mut dnstap = Vec::with_capacity(message.len() + 64);
            if !identity.is_empty() {
                bytes(&mut dnstap, 1, identity.as_bytes());
            }
            bytes(
                &mut dnstap,
                2,
                concat!("pointsman ", env!("CARGO_PKG_VERSION")).as_bytes(),
            );
            bytes(&mut dnstap, 14, &message);
            number(&mut dnstap, 15, 1);
            self.frames
                .extend_from_slice(&(dnstap.len() as u32).to_be_bytes());
            self.frames.extend_from_slice(&dnstap);
        }
    }

    /// Sends what was added, or drops it when nobody takes it.
    pub(super) fn flush(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.stream.is_none() && self.tried.is_none_or(|tried| now - tried >= RETRY) {
            self.tried = Some(now);
            match connect(&self.path) {
                Ok(stream) => self.stream = Some(stream),
                Err(error) => self.fail(&error),
            }
        }
        if let Some(stream) = &mut self.stream {
            match stream.write_all(&self.frames) {
                Ok(()) => self.failing = false,
                Err(error) => {
                    self.stream = None;
                    self.fail(&error);
                }
            }
        }
        self.frames.clear();
    }

    fn fail(&mut self, error: &io::Error) {
        if !self.failing {
            let path = self.path.display();
            tracing::warn!(%path, %error, "dnstap has no reader; queries are not sent there");
        }
        self.failing = true;
    }
}

impl Drop for Sink {
    /// Ends the stream as its reader expects.
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            // Nothing follows that could make up for a failure.
            let _ = stream.write_all(&control(STOP, false));
        }
    }
}

fn connect(path: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&control(READY, true))?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let word = |at: usize| {
        let bytes = head
            .get(at..at + 4)
            .and_then(|bytes| bytes.first_chunk::<4>());
        bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
    };
    let rest = (word(4) as usize).saturating_sub(4);
    if word(0) != 0 || word(8) != ACCEPT || rest > LONGEST_CONTROL {
        return Err(io::Error::other("the reader does not speak Frame Streams"));
    }
    let mut fields = vec![0; rest];
    stream.read_exact(&mut fields)?;
    stream.write_all(&control(START, true))?;
    Ok(stream)
}

/// A control frame: escape, length, type, and the content type where it belongs.
fn control(kind: u32, with_content: bool) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    if with_content {
        body.extend_from_slice(&1_u32.to_be_bytes());
        body.extend_from_slice(&(CONTENT_TYPE.len() as u32).to_be_bytes());
        body.extend_from_slice(CONTENT_TYPE);
    }
    let mut frame = vec![0; 4];
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(&body);
    frame
}

fn message(recorded: &Recorded<'_>, is_query: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(recorded.query.len() + recorded.answer.len() + 64);
    number(
        &mut out,
        1,
        query_type(recorded.kind) + u64::from(!is_query),
    );
    let tcp = recorded.transport == Transport::Tcp;
    match recorded.source {
        IpAddr::V4(v4) => {
            number(&mut out, 2, 1);
            number(&mut out, 3, if tcp { 2 } else { 1 });
            bytes(&mut out, 4, &v4.octets());
        }
        IpAddr::V6(v6) => {
            number(&mut out, 2, 2);
            number(&mut out, 3, if tcp { 2 } else { 1 });
            bytes(&mut out, 4, &v6.octets());
        }
    }
    let (seconds, nanos) = (recorded.unix / 1_000_000, recorded.unix % 1_000_000 * 1000);
    number(&mut out, 8, seconds);
    fixed(&mut out, 9, nanos as u32);
    if is_query {
        bytes(&mut out, 10, recorded.query);
    } else {
        number(&mut out, 12, seconds);
        fixed(&mut out, 13, nanos as u32);
        bytes(&mut out, 14, recorded.answer);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn fixed(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}
