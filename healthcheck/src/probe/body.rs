//! The body of a probe's response, as far as a search string is looked for: framing, decoding, and
//! a window on its first 5120 bytes (Route 53).
//!
//! Sans-io: the HTTP probe feeds bytes in. Bounded: the window, and 16 KiB of coded bytes, so that
//! neither an endless body nor one that unpacks to gigabytes costs more than that.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, GzDecoder, ZlibDecoder};

use super::malformed;

/// Route 53: a search string must stand in the first 5120 bytes.
pub(super) const WINDOW: usize = 5120;
/// Coded bytes that are looked at.
const MAX_CODED: usize = 16 * 1024;
/// Bytes of a chunk's size line, extensions included.
const MAX_SIZE_LINE: usize = 256;

/// Where a body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After this many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
}

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Identity,
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: zlib's format, or the bare one that some send.
    Deflate,
}

impl Coding {
    /// What the `content-encoding` fields name; `None` for a coding that is not undone here.
    pub(super) fn named<'f>(mut fields: impl Iterator<Item = &'f [u8]>) -> Option<Self> {
        let coding = match fields.next() {
            None => Self::Identity,
            Some(name) => match name.to_ascii_lowercase().as_slice() {
                b"identity" | b"" => Self::Identity,
                b"gzip" | b"x-gzip" => Self::Gzip,
                b"deflate" => Self::Deflate,
                _ => return None,
            },
        };
        fields.next().is_none().then_some(coding)
    }
}

/// A body being read.
pub(super) struct Body {
    framing: State,
    decoder: Decoder,
    coded: usize,
    max_coded: usize,
}

#[derive(Debug)]
enum State {
    Left(u64),
    UntilClose,
    /// In a chunk's size line.
    Size {
        size: u64,
        length: usize,
        digits: bool,
    },
    Chunk(u64),
    /// In the line end after a chunk.
    AfterChunk,
    Done,
}

impl State {
    const SIZE: Self = Self::Size {
        size: 0,
        length: 0,
        digits: true,
    };
}

impl Body {
    /// A body of which nothing has been read.
    pub(super) fn new(framing: Framing, coding: Coding) -> Self {
        Self::with_room(framing, coding, WINDOW)
    }

    /// The same with a window of `room` bytes.
    pub(super) fn with_room(framing: Framing, coding: Coding, room: usize) -> Self {
        let window = Window {
            bytes: Vec::new(),
            room,
        };
        Self {
            framing: match framing {
                Framing::Length(0) => State::Done,
                Framing::Length(length) => State::Left(length),
                Framing::Chunked => State::SIZE,
                Framing::UntilClose => State::UntilClose,
            },
            decoder: match coding {
                Coding::Identity => Decoder::Identity(window),
                Coding::Gzip => Decoder::Gzip(GzDecoder::new(window)),
                Coding::Deflate => Decoder::Unknown(window),
            },
            coded: 0,
            max_coded: room.max(MAX_CODED),
        }
    }

    /// Takes bytes off the connection.
    ///
    /// # Errors
    /// Bytes that are not what the framing or the coding promised.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(&first) = bytes.first() {
            let taken = match &mut self.framing {
                State::Done => return Ok(()),
                State::UntilClose => self.decode(bytes)?,
                State::Left(left) | State::Chunk(left) => {
                    let length = usize::try_from(*left).map_or(bytes.len(), |n| n.min(bytes.len()));
                    *left -= length as u64;
                    self.decode(bytes.get(..length).unwrap_or_default())?
                }
                State::Size { .. } | State::AfterChunk => {
                    self.line_byte(first)?;
                    1
                }
            };
            match self.framing {
                State::Left(0) => self.framing = State::Done,
                State::Chunk(0) => self.framing = State::AfterChunk,
                _ => {}
            }
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// One byte between chunks (RFC 9112 section 7.1).
    fn line_byte(&mut self, byte: u8) -> io::Result<()> {
        let bad = || Err(malformed("malformed chunk"));
        match &mut self.framing {
            State::Size {
                size,
                length,
                digits,
            } => {
                *length += 1;
                match byte {
                    b'\n' if *length == 1 => return bad(),
                    b'\n' if *size == 0 => self.framing = State::Done,
                    b'\n' => self.framing = State::Chunk(*size),
                    _ if *length > MAX_SIZE_LINE => return bad(),
                    _ if !*digits => {}
                    b'\r' | b';' | b' ' | b'\t' if *length > 1 => *digits = false,
                    _ => match char::from(byte).to_digit(16) {
                        Some(digit) if *size < 1 << 59 => *size = *size * 16 + u64::from(digit),
                        _ => return bad(),
                    },
                }
            }
            State::AfterChunk => match byte {
                b'\r' => {}
                b'\n' => self.framing = State::SIZE,
                _ => return bad(),
            },
            _ => {}
        }
        Ok(())
    }

    /// Decodes what fits into the window; how many bytes were passed, which is all of them.
    fn decode(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.max_coded.saturating_sub(self.coded);
        let used = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.coded += used.len();
        if !used.is_empty() && !self.window_is_full() {
            self.decoder.decode(used)?;
        }
        Ok(bytes.len())
    }

    /// The first bytes, decoded.
    pub(super) fn window(&self) -> &[u8] {
        &self.decoder.window().bytes
    }

    fn window_is_full(&self) -> bool {
        let window = self.decoder.window();
        window.bytes.len() >= window.room
    }

    /// True when more bytes could not change the window.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.framing, State::Done) || self.window_is_full() || self.coded >= self.max_coded
    }

    /// True when the connection's end is the body's.
    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self.framing, State::UntilClose)
    }
}

enum Decoder {
    Identity(Window),
    Gzip(GzDecoder<Window>),
    /// `deflate` before its first byte.
    Unknown(Window),
    Zlib(ZlibDecoder<Window>),
    Bare(DeflateDecoder<Window>),
}

impl Decoder {
    fn decode(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let (Self::Unknown(_), Some(first)) = (&*self, bytes.first()) {
            // Method 8 and a window of at most 32 KiB: zlib's first byte (RFC 1950). In a bare
            // stream these bits would be a stored block with bits of its padding set.
            let window = Window {
                bytes: Vec::new(),
                room: self.window().room,
            };
            *self = match first & 0x0f == 8 && first >> 4 <= 7 {
                true => Self::Zlib(ZlibDecoder::new(window)),
                false => Self::Bare(DeflateDecoder::new(window)),
            };
        }
        let decoded = match self {
            Self::Identity(window) | Self::Unknown(window) => window.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Zlib(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
            Self::Bare(decoder) => decoder.write_all(bytes).and_then(|()| decoder.flush()),
        };
        decoded.map_err(|error| malformed(&format!("body cannot be decoded: {error}")))
    }

    fn window(&self) -> &Window {
        match self {
            Self::Identity(window) | Self::Unknown(window) => window,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zlib(decoder) => decoder.get_ref(),
            Self::Bare(decoder) => decoder.get_ref(),
        }
    }
}

/// Keeps the first bytes, forgets the others.
#[derive(Debug)]
struct Window {
    bytes: Vec<u8>,
    room: usize,
}

impl Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room - self.bytes.len();
        self.bytes
            .extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    /// The window, and whether the body was over.
    type Read = (Vec<u8>, bool);

    /// Feeds `bytes` in pieces of every size from one byte to all.
    fn read(framing: Framing, coding: Coding, bytes: &[u8]) -> io::Result<Read> {
        let mut all = Vec::new();
        for size in [1, 2, 3, 7, 100, bytes.len().max(1)] {
            let mut body = Body::new(framing, coding);
            let fed = bytes.chunks(size).try_for_each(|piece| body.feed(piece));
            all.push(fed.map(|()| (body.window().to_vec(), body.is_over())));
        }
        let whole = all.pop().unwrap();
        for part in all {
            match (&part, &whole) {
                (Ok(part), Ok(whole)) => assert_eq!(part, whole),
                (part, whole) => assert_eq!(part.is_err(), whole.is_err()),
            }
        }
        whole
    }

    #[test]
    fn framings_end_where_they_say() {
        let id = Coding::Identity;
        let ok = |text: &str, over| Some((text.as_bytes().to_vec(), over));
        let cases: &[(Framing, &str, Option<Read>)] = &[
            (Framing::Length(0), "more", ok("", true)),
            (Framing::Length(4), "bodymore", ok("body", true)),
            (Framing::Length(9), "body", ok("body", false)),
            (Framing::UntilClose, "body", ok("body", false)),
            (Framing::Chunked, "4\r\nbody\r\n0\r\n\r\n", ok("body", true)),
            (
                Framing::Chunked,
                "2;a=b\r\nbo\r\n2\ndy\n0\n\n",
                ok("body", true),
            ),
            (Framing::Chunked, "A\r\nbody", ok("body", false)),
            (Framing::Chunked, "4\r\nbodyX", None),
            (Framing::Chunked, "\r\n", None),
            (Framing::Chunked, "x\r\n", None),
            (Framing::Chunked, "fffffffffffffffff\r\n", None),
        ];
        for (framing, bytes, expected) in cases {
            let found = read(*framing, id, bytes.as_bytes()).ok();
            assert_eq!(&found, expected, "{framing:?} {bytes:?}");
        }
    }

    #[test]
    fn codings_are_undone() {
        let text = b"status: ok ".repeat(30);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&text).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(&text).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(&text).unwrap();
        for (coding, bytes) in [
            (Coding::Gzip, gzip.finish().unwrap()),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, bare.finish().unwrap()),
        ] {
            let framing = Framing::Length(bytes.len() as u64);
            assert_eq!(read(framing, coding, &bytes).unwrap(), (text.clone(), true));
        }
        assert!(read(Framing::UntilClose, Coding::Gzip, b"not gzip at all").is_err());
    }

    #[test]
    fn what_unpacks_to_much_costs_the_window_only() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&vec![0; 8 << 20]).unwrap();
        let bomb = gzip.finish().unwrap();
        let (window, over) = read(Framing::UntilClose, Coding::Gzip, &bomb).unwrap();
        assert!(over && window.len() == WINDOW);
        let endless = vec![b'x'; 100_000];
        let (window, over) = read(Framing::UntilClose, Coding::Identity, &endless).unwrap();
        assert!(over && window.len() == WINDOW);
    }
}
