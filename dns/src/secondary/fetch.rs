//! Asking primaries for a zone: over TCP, each in its turn, until one gives something to use.
//!
//! Called by the task of secondary zones. On one connection the serial is asked for, then the
//! changes; the whole zone on a fresh one when there is no copy or the changes were no good.
//! Bounded in time and, through [`Limits`], in size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::{KeyIdx, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::copy::ZoneCopy;
use super::incoming::{Ask, Fault, Incoming, Limits, Received, question};
use crate::load::ParsedRecord;
use crate::name::Name;
use crate::transfer::Outgoing;
use crate::transfer::content::is_newer;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Until the next message of an answer is there.
const MESSAGE: Duration = Duration::from_secs(30);
/// Until a primary has given all it gives.
const WHOLE: Duration = Duration::from_secs(30 * 60);

/// What is wanted, and from whom.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) zone: Name,
    pub(crate) primaries: Vec<Peer>,
    /// Where the keys are.
    pub(crate) keys: Arc<Outgoing>,
    pub(crate) have: Option<Arc<ZoneCopy>>,
}

/// What the primaries gave.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Who gave it.
    pub(crate) from: SocketAddr,
    pub(crate) what: What,
    /// What was wrong with those asked before.
    pub(crate) faults: Vec<(SocketAddr, Fault)>,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Nothing newer: the serial.
    Current(u32),
    /// A new copy, made by changes.
    Changed(ZoneCopy),
    /// A new copy.
    Whole(ZoneCopy),
}

/// Asks the primaries in their order for something newer. When the first ones have nothing newer the
/// rest are asked too: one of them may be ahead.
///
/// # Errors
/// What was wrong with each of them.
pub(crate) async fn fetch(request: &Request) -> Result<Fetched, Vec<(SocketAddr, Fault)>> {
    let mut faults = Vec::new();
    let mut current: Option<(SocketAddr, u32)> = None;
    for primary in &request.primaries {
        let asked = timeout(WHOLE, ask(request, primary)).await;
        match asked.unwrap_or_else(|_| Err(slow())) {
            Ok(What::Current(serial)) => {
                // Of several the one that is ahead speaks.
                if current.is_none_or(|(_, known)| is_newer(serial, known)) {
                    current = Some((primary.address, serial));
                }
            }
            Ok(what) => {
                let from = primary.address;
                return Ok(Fetched { from, what, faults });
            }
            Err(fault) => faults.push((primary.address, fault)),
        }
    }
    match current {
        Some((from, serial)) => Ok(Fetched {
            from,
            what: What::Current(serial),
            faults,
        }),
        None => Err(faults),
    }
}

fn slow() -> Fault {
    Fault::Network("it takes too long".to_owned())
}

async fn ask(request: &Request, primary: &Peer) -> Result<What, Fault> {
    let mut line = Line::open(request, primary).await?;
    if let Some(have) = &request.have {
        let serial = match line.exchange(Ask::Soa).await? {
            Received::Serial(serial) if !is_newer(serial, have.serial) => {
                return Ok(What::Current(serial));
            }
            Received::Serial(serial) => serial,
            _ => return Err(Fault::Unasked),
        };
        match line.changes(have, serial).await {
            Ok(what) => return Ok(what),
            Err(fault) if !fault.is_of_changes() => return Err(fault),
            Err(fault) => {
                let (zone, from) = (&request.zone, primary.address);
                tracing::info!(%zone, %from, %fault, "changes were no good: asking for the whole zone");
                line = Line::open(request, primary).await?;
            }
        }
    }
    match line.exchange(Ask::Whole).await? {
        Received::Whole(records) => whole(request, records),
        _ => Err(Fault::Unasked),
    }
}

/// A whole zone, unless it is older than the copy there is: who asked was told of a newer one.
fn whole(request: &Request, records: Vec<ParsedRecord>) -> Result<What, Fault> {
    let copy = ZoneCopy::whole(&request.zone, records)?;
    match &request.have {
        Some(have) if !is_newer(copy.serial, have.serial) => {
            Err(Fault::Older(copy.serial, have.serial))
        }
        _ => Ok(What::Whole(copy)),
    }
}

/// A connection to a primary.
struct Line<'r> {
    request: &'r Request,
    key: Option<KeyIdx>,
    stream: TcpStream,
}

impl<'r> Line<'r> {
    async fn open(request: &'r Request, primary: &Peer) -> Result<Self, Fault> {
        let connect = timeout(CONNECT, TcpStream::connect(primary.address)).await;
        let stream = connect.map_err(|_| slow())?.map_err(network)?;
        Ok(Self {
            request,
            key: primary.key,
            stream,
        })
    }

    async fn changes(&mut self, have: &ZoneCopy, serial: u32) -> Result<What, Fault> {
        match self.exchange(Ask::Changes(have.serial)).await? {
            Received::Changes(changes) => {
                let copy = have.changed(&changes)?;
                Ok(What::Changed(copy))
            }
            Received::Whole(records) => whole(self.request, records),
            // It said a moment ago that it had something newer.
            Received::Serial(now) if now == serial => Err(Fault::Unasked),
            Received::Serial(now) => Ok(What::Current(now)),
        }
    }

    async fn exchange(&mut self, ask: Ask) -> Result<Received, Fault> {
        let id = rand::random();
        let have = self.request.have.as_ref();
        let soa = have.and_then(|have| have.soa());
        let mut message = question(&self.request.zone, ask, id, soa);
        let keys = &self.request.keys.keys;
        let signer = self
            .key
            .map(|key| keys.sign_request(key, &mut message, unix_now()));
        let mut incoming = Incoming::new(
            &self.request.zone,
            (ask, id),
            keys,
            signer.as_ref(),
            Limits::DEFAULT,
        )?;
        let length = u16::try_from(message.len()).map_err(|_| Fault::Unreadable)?;
        let framed = [&length.to_be_bytes()[..], &message].concat();
        let sent = timeout(MESSAGE, self.stream.write_all(&framed)).await;
        sent.map_err(|_| slow())?.map_err(network)?;
        let mut buffer = Vec::new();
        loop {
            let read = timeout(MESSAGE, next(&mut self.stream, &mut buffer)).await;
            read.map_err(|_| slow())?.map_err(network)?;
            if let Some(received) = incoming.take(&buffer, unix_now())? {
                return Ok(received);
            }
        }
    }
}

/// Reads the next message into `buffer`.
async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    let length = stream.read_u16().await?;
    buffer.resize(length.into(), 0);
    stream.read_exact(buffer).await?;
    Ok(())
}

fn network(error: std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            Fault::Network("it closed the connection before the end".to_owned())
        }
        _ => Fault::Network(error.to_string()),
    }
}

/// Seconds since 1970.
fn unix_now() -> u32 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.map_or(0, |age| age.as_secs() as u32)
}
