//! Pages: what clients get in place of the balancer's own sentences.

/// A page, for some statuses that the balancer answers with by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// Statuses that are named.
    pub statuses: Vec<u16>,
    /// Whole classes: 4 for `4xx`, 5 for `5xx`.
    pub classes: Vec<u16>,
    /// The Content-Type of its answers.
    pub content_type: String,
    /// The body.
    pub parts: Vec<PagePart>,
}

/// A part of a page's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagePart {
    /// As it stands in the file.
    Text(String),
    /// Something of the answer, escaped as the page's type demands.
    Value(PageValue),
}

/// What a page can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageValue {
    /// The status: `503`.
    Status,
    /// The status in words: `Service Unavailable`.
    Phrase,
    /// The word that logs have for the reason: `no-target`.
    Reason,
    /// The sentence that would stand there without the page.
    Message,
    /// What the request is known by in the logs.
    TraceId,
}

impl PageValue {
    /// Every one with its name in placeholders.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("status", Self::Status),
        ("phrase", Self::Phrase),
        ("reason", Self::Reason),
        ("message", Self::Message),
        ("trace-id", Self::TraceId),
    ];
}
