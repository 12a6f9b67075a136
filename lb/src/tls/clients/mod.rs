//! Certificates of clients (ELB's mutual authentication): who must show one, whether it is believed,
//! and what is told of it.
//!
//! The terminator asks [`verifier`] when it makes its settings, and makes a [`ClientIdentity`] of what
//! a client showed once its handshake is done. Nothing here runs where no client is asked.

mod distinguished_name;
mod identity;
mod trust_files;
mod verifier;

pub use identity::ClientIdentity;
pub(super) use trust_files::TrustFiles;
pub(super) use verifier::{TooLarge, fingerprint, refused, verifier};
