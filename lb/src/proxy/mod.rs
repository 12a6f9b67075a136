//! PROXY protocol: connections that begin with a header saying whose they are.
//!
//! `receive` reads clients' headers, by the parser in `header`; `introduction` tells targets. The
//! form of what is written is [`healthcheck::proxy_header`]'s, which probes use too.

mod header;
mod introduction;
mod receive;

pub use header::{Fault, Header, MAX_HEADER, Parsed, parse};
pub(crate) use introduction::{Introduced, Tlvs};
pub(crate) use receive::receive;
