//! Hashing of requests: what of a request decides its target.

/// How `request-hash` chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHash {
    /// What is hashed.
    pub by: HashBy,
    /// What a target may have in hand, in percent of its share of all requests in hand, before its
    /// keys go elsewhere; 0 = any number.
    pub balance: u32,
}

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    /// The first field of this name.
    Header(String),
    /// The cookie of this name.
    Cookie(String),
    /// The first parameter of this name, as it was sent.
    Query(String),
    /// The path without the query.
    Path,
}
