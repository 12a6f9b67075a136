//! Diagnostics of one zone, bounded: a file of another kind has a problem on every line.
//!
//! Filled by the zone-file reader and the loader's checks.

use std::ops::Range;

use conf::{Diagnostic, FileId, Severity, Span};

use super::scanner::{Fault, Oddity};
use crate::rdata::{Note, RdataError};

/// Problems shown per zone.
const MOST_SHOWN: usize = 100;
/// What follows from an error in a zone.
pub(crate) const NOT_LOADED: &str = "the zone would not be loaded";
/// What follows from a record that is not used.
pub(crate) const LEFT_OUT: &str = "the record is left out";

/// Diagnostics of one zone.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    shown: Vec<Diagnostic>,
    hidden_errors: usize,
    hidden_warnings: usize,
    errors: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        let is_error = diagnostic.severity == Severity::Error;
        self.errors += usize::from(is_error);
        if self.shown.len() < MOST_SHOWN {
            self.shown.push(diagnostic);
        } else if is_error {
            self.hidden_errors += 1;
        } else {
            self.hidden_warnings += 1;
        }
    }

    /// True when further problems are counted only: suggestions for them are lost work.
    pub(crate) fn is_full(&self) -> bool {
        self.shown.len() >= MOST_SHOWN
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Everything found, the hidden rest as one line at `zone`.
    pub(crate) fn into_diagnostics(mut self, zone: Span) -> Vec<Diagnostic> {
        let message = format!(
            "{} more errors and {} more warnings in this zone are not shown",
            self.hidden_errors, self.hidden_warnings
        );
        if self.hidden_errors > 0 {
            self.shown
                .push(Diagnostic::error("more-problems", zone, message));
        } else if self.hidden_warnings > 0 {
            self.shown
                .push(Diagnostic::warning("more-problems", zone, message));
        }
        self.shown
    }
}

/// The diagnostic of an entry that has no form.
pub(super) fn of_fault(fault: Fault, file: FileId, range: Range<usize>) -> Diagnostic {
    let help = match fault {
        Fault::ClosingParenthesis => "take it away, or write \\) for a parenthesis that is data",
        Fault::UnclosedQuote => {
            "end it with a quote on the same line; write \\\" for a quote inside"
        }
        Fault::UnclosedParenthesis => "close it behind the last line of its record",
    };
    Diagnostic::error("zone-syntax", Span::new(file, range), fault.message())
        .consequence(NOT_LOADED)
        .help(help)
}

/// The diagnostic of an entry that is used although its form is odd.
pub(super) fn of_oddity(oddity: Oddity, file: FileId, range: Range<usize>) -> Diagnostic {
    let message = match oddity {
        Oddity::OpenAtEnd => "this `(` is not closed before the end of the file",
        Oddity::QuoteOverLines => "this quoted string goes over the end of its line",
    };
    Diagnostic::warning("zone-syntax", Span::new(file, range), message)
        .consequence("it is read as written; BIND and Knot would refuse the zone")
}

/// The diagnostic of record data that cannot be used.
pub(super) fn of_rdata(error: RdataError, at: Span) -> Diagnostic {
    let mut diagnostic = if error.tolerated {
        Diagnostic::warning("record-data", at, error.message).consequence(LEFT_OUT)
    } else {
        Diagnostic::error("record-data", at, error.message).consequence(NOT_LOADED)
    };
    diagnostic.help = error.help;
    diagnostic
}

/// The diagnostic of record data that is odd.
pub(super) fn of_note(note: Note, at: Span) -> Diagnostic {
    Diagnostic::warning("record-data", at, note.message)
        .consequence("the record is served as written")
}
