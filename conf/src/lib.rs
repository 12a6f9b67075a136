//! Typed configuration: text files in, one resolved [`Config`] and every problem found out.
//!
//! Called by the root package (`run`, `check`, reload) and read by every plane. Two layers: a
//! spanned tree that mirrors the file, and the resolved model below, in which no `Option` means
//! "default". Never touches the network, never starts a task, reads nothing but the files named.
#![forbid(unsafe_code)]

mod cross;
mod diagnostic;
mod document;
mod expand;
mod known;
mod load;
mod model;
mod render;
mod resolve;
mod scalar;
mod section;
mod source;
mod suggest;
mod tree;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{load, load_text};
pub use model::*;
pub use render::{render_human, render_json};
pub use scalar::{ScalarError, parse_duration, parse_size};
pub use source::{FileId, Location, Sources, Span, Spanned};

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
    /// True when at least one diagnostic is an error: the file must not be applied.
    pub fn has_errors(&self) -> bool {
        self.diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error)
    }
}
