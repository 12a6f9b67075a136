//! How long a body is, and how much of it has passed (RFC 9112 section 6).
//!
//! Both head parsers decide a [`BodyLength`]; the exchange drives a [`BodyProgress`] over the raw
//! bytes. Nothing is copied or changed: the answer is how many bytes belong to the body.
//! Cost: none for counted bodies; one pass over the size lines of chunked ones.

use super::{ChunkFault, ChunkedDecoder};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    Empty,
    /// This many bytes, more than none.
    Counted(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Everything until the connection closes (responses only).
    UntilClose,
}

/// What Content-Length and Transfer-Encoding said that cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingFault {
    /// Content-Length is not a plain decimal number below 2^63.
    BadContentLength,
    /// Content-Length more than once.
    SeveralContentLengths,
    /// Both fields were sent.
    BothLengths,
    /// Transfer-Encoding in HTTP/1.0.
    EncodingInHttp10,
    /// Transfer-Encoding is not `chunked`, once.
    BadTransferEncoding,
    /// Some other transfer coding.
    UnknownTransferCoding,
}

/// Collects the length fields of one head.
#[derive(Debug, Default)]
pub struct LengthFields {
    length: Option<Result<u64, FramingFault>>,
    encoding: Option<Result<(), FramingFault>>,
}

impl LengthFields {
    /// Takes a Content-Length value.
    pub fn content_length(&mut self, value: &[u8]) {
        self.length = Some(match self.length {
            Some(_) => Err(FramingFault::SeveralContentLengths),
            None => content_length(value).ok_or(FramingFault::BadContentLength),
        });
    }

    /// Takes a Transfer-Encoding value.
    pub fn transfer_encoding(&mut self, value: &[u8]) {
        self.encoding = Some(match self.encoding {
            Some(_) => Err(FramingFault::BadTransferEncoding),
            None => transfer_encoding(value),
        });
    }

    /// True when there was one.
    pub fn is_given(&self) -> bool {
        self.length.is_some() || self.encoding.is_some()
    }

    /// The verdict: `None` when neither field was there.
    pub fn decide(&self, http10: bool) -> Result<Option<BodyLength>, FramingFault> {
        match (self.length, self.encoding) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(FramingFault::BothLengths),
            (Some(length), None) => Ok(Some(match length? {
                0 => BodyLength::Empty,
                bytes => BodyLength::Counted(bytes),
            })),
            (None, Some(_)) if http10 => Err(FramingFault::EncodingInHttp10),
            (None, Some(encoding)) => encoding.map(|()| Some(BodyLength::Chunked)),
        }
    }
}

/// A plain decimal number below 2^63 without leading zeros, which some read as octal.
fn content_length(value: &[u8]) -> Option<u64> {
    let plain = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() <= 18 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let number = value.iter().try_fold(0_u64, |sum, d| {
        sum.checked_mul(10)?
            .checked_add(u64::from(d.wrapping_sub(b'0')))
    });
    number.filter(|&n| plain && n < 1 << 63)
}

fn transfer_encoding(value: &[u8]) -> Result<(), FramingFault> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let token = !value.is_empty() && value.iter().copied().all(super::fields::is_token_byte);
    let resembles = value.to_ascii_lowercase().windows(5).any(|w| w == b"chunk");
    Err(if token && !resembles {
        FramingFault::UnknownTransferCoding
    } else {
        FramingFault::BadTransferEncoding
    })
}

/// Where in its body a message is.
#[derive(Debug)]
pub enum BodyProgress {
    /// At the end.
    Done,
    /// So many bytes are still to come, more than none.
    Counted(u64),
    /// Within a chunked body.
    Chunked(ChunkedDecoder),
    /// Until the connection closes.
    UntilClose,
}

impl BodyProgress {
    /// At the start of a body.
    pub fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty | BodyLength::Counted(0) => Self::Done,
            BodyLength::Counted(bytes) => Self::Counted(bytes),
            BodyLength::Chunked => Self::Chunked(ChunkedDecoder::default()),
            BodyLength::UntilClose => Self::UntilClose,
        }
    }

    /// At the start of a body whose chunks may hold `limit` bytes; a counted one is known to fit.
    pub fn limited(length: BodyLength, limit: u64) -> Self {
        match length {
            BodyLength::Chunked => Self::Chunked(ChunkedDecoder::limited(limit)),
            _ => Self::new(length),
        }
    }

    /// True at the end.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// How many of `bytes`, from their start, belong to the body.
    pub fn accept(&mut self, bytes: &[u8]) -> Result<usize, ChunkFault> {
        match self {
            Self::Done => Ok(0),
            Self::UntilClose => Ok(bytes.len()),
            Self::Counted(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |l| l.min(bytes.len()));
                *left -= taken as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(taken)
            }
            Self::Chunked(decoder) => {
                let taken = decoder.accept(bytes)?;
                if decoder.is_done() {
                    *self = Self::Done;
                }
                Ok(taken)
            }
        }
    }
}
