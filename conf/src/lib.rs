//! Typed configuration: text files in, one resolved [`Config`] and every problem found out.
//!
//! Called by the root package (`run`, `check`, reload) and read by every plane. Two layers: a
//! spanned tree that mirrors the file, and the resolved model below, in which no `Option` means
//! "default". Never touches the network, never starts a task, reads nothing but the files named.
#![forbid(unsafe_code)]

mod address;
mod certificate;
mod client_trust;
mod cross;
mod diagnostic;
mod document;
mod expand;
mod jwks;
mod known;
mod load;
mod model;
mod render;
mod resolve;
mod scalar;
mod section;
mod source;
mod suggest;
mod target_list;
mod ticket_key;
mod tls_policy;
mod tree;

pub use address::{Address, BadAddress, MAX_UNIX_NAME, UnixName};
pub use certificate::{CertificateFault, read_certificate};
pub use client_trust::{ClientTrustFault, read_client_trust};
pub use diagnostic::{Diagnostic, Severity};
pub use jwks::{Jwk, JwkKey, MAX_JWKS, parse_jwks, read_jwks};
pub use load::{load, load_text};
pub use model::*;
pub use render::{render_human, render_json};
pub use scalar::{ScalarError, parse_duration, parse_size};
pub use source::{FileId, Location, Sources, Span, Spanned};
pub use target_list::{TargetList, TargetListError};
pub use ticket_key::{TICKET_SECRET_BYTES, TicketSecret, read_ticket_secrets};

/// The security policies that are served, the default one first.
pub fn tls_policies() -> &'static [TlsPolicy] {
    &tls_policy::SERVED
}

/// What loading a configuration gave: as much of the model as could be resolved, and every
/// problem that was found on the way.
#[derive(Debug)]
pub struct Loaded {
    /// The resolved model. Serve it only when [`Loaded::has_errors`] is false; until then it is
    /// good for finding further problems (zones) in the same go.
    pub config: Config,
    /// Every file read, for rendering places.
    pub sources: Sources,
    /// Every problem found, in the order of file and line.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Adds what a plane found (zones, binds), in its place in the order. An error at a place that
    /// already has one is left out: it is the same mistake, seen by another part.
    pub fn add(&mut self, found: Vec<Diagnostic>) {
        let is_error = |d: &Diagnostic| d.severity == Severity::Error;
        for problem in found {
            let seen = problem.span.is_some()
                && is_error(&problem)
                && self
                    .diagnostics
                    .iter()
                    .any(|d| is_error(d) && d.span == problem.span && d.code != problem.code);
            if !seen {
                self.diagnostics.push(problem);
            }
        }
        sort(&mut self.diagnostics);
    }

    /// True when at least one diagnostic is an error: the file must not be applied.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }
}

/// Puts problems in the order of file and place; those of no place come first.
fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by_key(|d| d.span.map(|span| (span.file, span.start, span.end)));
}
