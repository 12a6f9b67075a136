//! An own sans-io HTTP/1.1 codec, strict on both sides (RFC 9110, RFC 9112).
//!
//! Bytes in, slices and verdicts out: heads are parsed in place, bodies are measured and passed
//! through, heads are written again with edits. Called by the exchange and by fuzz targets. It
//! never does I/O, never reads a clock, never allocates on the good path and never guesses: what
//! two implementations could read in two ways is refused.

mod chunked;
mod edit;
mod fields;
mod framing;
mod head;
mod host;
mod refusal;
mod response_head;

pub use chunked::{ChunkFault, ChunkedDecoder, Step};
pub use edit::{
    ClientAddress, Forwarding, ResponseEdit, write_prepared, write_request, write_response,
};
pub(crate) use edit::{PLAIN_TEXT, write_answer};
pub(in crate::l7) use edit::{push_display, push_field, push_kept};
pub use fields::{Connection, KnownField, MAX_FIELDS};
pub(in crate::l7) use fields::{is_token_byte, trim};
pub use framing::{BodyLength, BodyProgress, FramingFault};
pub use head::{HeadLimits, RequestHead, Version, empty_lines, parse_request};
pub use refusal::{Refusal, reason_phrase};
pub use response_head::{ResponseFault, ResponseHead, parse_response};

#[cfg(test)]
mod tests;
