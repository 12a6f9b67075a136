//! Chunked bodies: an incremental validator that passes valid bytes through (RFC 9112 section 7.1).
//!
//! Driven by [`BodyProgress`](super::BodyProgress) for both directions and by the response relay
//! where a client cannot read chunks. Strict where implementations differ: no blanks around sizes,
//! CR LF everywhere, extensions need names, trailers must not frame or route. Bounded: sizes below
//! 2^60, extensions 16 KiB and trailers 8 KiB a body.
//! Cost: one byte at a time over size lines and trailers, none over data; no allocation.

use super::fields::is_token_byte;

/// Bytes of extensions one body may have.
const MAX_EXTENSIONS: u32 = 16 * 1024;
/// Bytes of trailers one body may have.
const MAX_TRAILERS: u32 = 8 * 1024;
/// Hexadecimal digits of a chunk size, leading zeros included.
const MAX_DIGITS: u8 = 15;
/// Longest trailer name that is looked at.
const NAME: usize = 17;

/// What is wrong with a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkFault {
    /// It does not follow the grammar, or a size is too large.
    Malformed,
    /// Extensions or trailers are too large.
    Overhead,
    /// A trailer is malformed or not allowed as one.
    Trailer,
    /// There is more data than may be.
    TooLarge,
}

/// What one step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next so many bytes are framing.
    Framing(usize),
    /// The next so many bytes are data.
    Data(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    ExtensionName,
    Extension,
    QuotedExtension,
    QuotedPair,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// Where in a chunked body the reader is.
#[derive(Debug, Clone)]
pub struct ChunkedDecoder {
    state: State,
    digits: u8,
    size: u64,
    /// Bytes of data that may still be announced.
    left: u64,
    extensions: u32,
    trailers: u32,
    name: [u8; NAME],
    name_length: usize,
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self {
            state: State::Size,
            digits: 0,
            size: 0,
            left: u64::MAX,
            extensions: 0,
            trailers: 0,
            name: [0; NAME],
            name_length: 0,
        }
    }
}

impl ChunkedDecoder {
    /// A body of at most `limit` bytes of data.
    pub fn limited(limit: u64) -> Self {
        Self {
            left: limit,
            ..Self::default()
        }
    }

    /// True after the last line.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// True when the next byte is data.
    pub fn is_in_data(&self) -> bool {
        self.state == State::Data
    }

    /// How many of `bytes`, from their start, belong to the body.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<usize, ChunkFault> {
        let mut taken = 0;
        while !self.is_done() {
            match self.step(bytes.get(taken..).unwrap_or_default())? {
                Step::Framing(0) => break,
                Step::Framing(n) | Step::Data(n) => taken += n,
            }
        }
        Ok(taken)
    }

    /// Takes one run of framing or data from the start of `bytes`; `Framing(0)` when `bytes` is
    /// empty or the body is over.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, ChunkFault> {
        if self.state == State::Data && !bytes.is_empty() {
            let run = usize::try_from(self.size).map_or(bytes.len(), |s| s.min(bytes.len()));
            self.size -= run as u64;
            if self.size == 0 {
                self.state = State::DataCr;
            }
            return Ok(Step::Data(run));
        }
        let mut taken = 0;
        for &byte in bytes {
            if matches!(self.state, State::Data | State::Done) {
                break;
            }
            self.state = self.next(byte)?;
            taken += 1;
        }
        Ok(Step::Framing(taken))
    }

    fn next(&mut self, byte: u8) -> Result<State, ChunkFault> {
        match self.state {
            State::Size => self.size_byte(byte),
            State::ExtensionName
            | State::Extension
            | State::QuotedExtension
            | State::QuotedPair => self.extension_byte(byte),
            State::SizeLf if byte == b'\n' => self.after_size(),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Size),
            State::TrailerStart if byte == b'\r' => Ok(State::LastLf),
            State::TrailerStart | State::TrailerName | State::TrailerValue => {
                self.trailer_byte(byte)
            }
            State::TrailerLf if byte == b'\n' => Ok(State::TrailerStart),
            State::LastLf if byte == b'\n' => Ok(State::Done),
            _ => Err(ChunkFault::Malformed),
        }
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, ChunkFault> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b';' if self.digits > 0 => return Ok(State::ExtensionName),
            _ => return Err(ChunkFault::Malformed),
        };
        if self.digits == MAX_DIGITS {
            return Err(ChunkFault::Malformed);
        }
        self.digits += 1;
        self.size = (self.size << 4) | u64::from(digit);
        Ok(State::Size)
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, ChunkFault> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(ChunkFault::Overhead);
        }
        match (self.state, byte) {
            (State::ExtensionName, _) if is_token_byte(byte) => Ok(State::Extension),
            (State::ExtensionName, _) => Err(ChunkFault::Malformed),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b';') => Ok(State::ExtensionName),
            (State::Extension, b'"') => Ok(State::QuotedExtension),
            (State::Extension, b'=') => Ok(State::Extension),
            (State::Extension, _) if is_token_byte(byte) => Ok(State::Extension),
            (State::QuotedExtension, b'"') => Ok(State::Extension),
            (State::QuotedExtension, b'\\') => Ok(State::QuotedPair),
            (State::QuotedExtension | State::QuotedPair, b'\t' | b' '..=b'~') => {
                Ok(State::QuotedExtension)
            }
            _ => Err(ChunkFault::Malformed),
        }
    }

    fn after_size(&mut self) -> Result<State, ChunkFault> {
        self.digits = 0;
        self.left = self
            .left
            .checked_sub(self.size)
            .ok_or(ChunkFault::TooLarge)?;
        Ok(match self.size {
            0 => State::TrailerStart,
            _ => State::Data,
        })
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, ChunkFault> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(ChunkFault::Overhead);
        }
        match (self.state, byte) {
            (State::TrailerStart | State::TrailerName, _) if is_token_byte(byte) => {
                if self.state == State::TrailerStart {
                    self.name_length = 0;
                }
                if let Some(place) = self.name.get_mut(self.name_length) {
                    *place = byte.to_ascii_lowercase();
                }
                self.name_length += 1;
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') if self.is_name_allowed() => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::TrailerValue),
            _ => Err(ChunkFault::Trailer),
        }
    }

    /// Fields that frame, route or describe the connection are no trailers (RFC 9110 6.5.1).
    fn is_name_allowed(&self) -> bool {
        let name = self.name.get(..self.name_length).unwrap_or_default();
        !matches!(
            name,
            b"content-length"
                | b"transfer-encoding"
                | b"content_length"
                | b"transfer_encoding"
                | b"host"
                | b"connection"
                | b"upgrade"
                | b"trailer"
                | b"te"
        )
    }
}
