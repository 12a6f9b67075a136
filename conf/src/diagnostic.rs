//! One problem found in a configuration or zone file: what, where, what follows, how to mend it.
//!
//! Made by the loader, by the planes' `prepare` steps (a bind that failed, a zone that is bad) and
//! by the zone-file scanner; rendered by `check`, `run` and reload. Holds no text of secrets.

use crate::Span;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file works, but not as its author may think.
    Warning,
    /// The file must not be applied.
    Error,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable kebab-case name of the kind of problem, for scripts: `unknown-key`.
    pub code: &'static str,
    /// Where; `None` for problems of no place in a file (a file that cannot be read).
    pub span: Option<Span>,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What would have gone wrong had it been applied.
    pub consequence: Option<String>,
    /// How to mend it, a suggestion included.
    pub help: Option<String>,
    /// Other places that belong to the problem, each with a word: "first defined here".
    pub related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(
        code: &'static str,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            span: span.into(),
            message: message.into(),
            consequence: None,
            help: None,
            related: Vec::new(),
        }
    }

    /// A warning at `span`.
    pub fn warning(
        code: &'static str,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// Says what would have gone wrong.
    #[must_use]
    pub fn consequence(mut self, text: impl Into<String>) -> Self {
        self.consequence = Some(text.into());
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Points at another place that belongs to the problem.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }
}
