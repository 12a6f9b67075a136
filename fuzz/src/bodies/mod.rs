//! The bodies: each hands input to one parser and checks what must hold whatever the input is.
//!
//! A body panics on a violation and otherwise returns its outcome: a number that differs when the
//! input took another way through the parser, as far as that can be seen from outside.

mod client_certificate;
mod client_hello;
mod config;
mod cookie;
mod desync;
mod dns_query;
mod forward;
mod http;
mod http2;
mod jwt;
mod mmdb;
mod probe;
mod proxy;
mod quic;
mod rules;
mod table;
mod target_list;
mod transfer;
mod update;
mod zone_file;

use std::hash::{DefaultHasher, Hash, Hasher};

/// Feeds one input; the outcome.
pub(crate) type Run = Box<dyn FnMut(&[u8]) -> u64>;

/// One parser and how to feed it.
pub(crate) struct Body {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Inputs to begin with.
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Words of its language.
    pub(crate) words: &'static [&'static [u8]],
    /// Feeds one input; the outcome.
    pub(crate) run: Run,
}

/// Every body.
pub(crate) fn all() -> Vec<Body> {
    vec![
        config::body(),
        zone_file::body(),
        mmdb::body(),
        dns_query::body(),
        transfer::body(),
        update::body(),
        forward::body(),
        http::request(),
        http::response(),
        http::chunked(),
        http2::body(),
        cookie::body(),
        jwt::token(),
        jwt::jwks(),
        desync::body(),
        rules::body(),
        quic::body(),
        client_hello::body(),
        client_certificate::body(),
        proxy::body(),
        table::body(),
        target_list::body(),
        probe::http(),
        probe::words(),
        probe::metric(),
    ]
}

/// A number for an outcome.
fn outcome(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
