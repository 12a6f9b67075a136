//! PROXY protocol: connections that begin with a header saying whose they are.
//!
//! `introduction` tells targets; the header's form is [`healthcheck::proxy_header`]'s, which probes
//! use too.

mod introduction;

pub(crate) use introduction::{Introduced, Tlvs};
