//! Pages that stand in place of the balancer's own sentences.
//!
//! Made with the plan, asked by the client connection for an answer that the balancer gives itself; never
//! for what a target or a fixed response says. What a page shows of the request is escaped as its type
//! demands. Cost: nothing unless there is such an answer.

use conf::{PagePart, PageValue};

use super::failure::Failure;
use super::http1::reason_phrase;
use super::record::Record;

/// The pages of a listener.
#[derive(Debug)]
pub(crate) struct ErrorPages {
    pages: Box<[Page]>,
    /// Some of them shows what requests are known by.
    shows_trace: bool,
}

#[derive(Debug)]
struct Page {
    page: conf::ErrorPage,
    escaping: Escaping,
}

/// What a page shows of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) status: u16,
    /// The word of the reason.
    pub(super) reason: &'a str,
    /// The sentence about it.
    pub(super) message: &'a str,
    /// What the request is known by.
    pub(super) trace: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaping {
    Html,
    Json,
    Plain,
}

impl Escaping {
    /// What stands for a byte that means something to readers of the type, or is no visible ASCII.
    fn push(self, out: &mut Vec<u8>, byte: u8) {
        let entity = match (self, byte) {
            (Self::Html, b'&') => "&amp;",
            (Self::Html, b'<') => "&lt;",
            (Self::Html, b'>') => "&gt;",
            (Self::Html, b'"') => "&quot;",
            (Self::Html, b'\'') => "&#39;",
            (Self::Json, b'"') => "\\\"",
            (Self::Json, b'\\') => "\\\\",
            (_, b' '..=b'~') => return out.push(byte),
            _ => "?",
        };
        out.extend_from_slice(entity.as_bytes());
    }
}

impl ErrorPages {
    /// The pages, ready; `None` when there is none.
    pub(crate) fn new(pages: &[conf::ErrorPage]) -> Option<Box<Self>> {
        let page = |page: &conf::ErrorPage| Page {
            page: page.clone(),
            escaping: escaping_of(&page.content_type),
        };
        let trace = PagePart::Value(PageValue::TraceId);
        (!pages.is_empty()).then(|| {
            Box::new(Self {
                shows_trace: pages.iter().any(|page| page.parts.contains(&trace)),
                pages: pages.iter().map(page).collect(),
            })
        })
    }

    /// True when a page shows what requests are known by.
    pub(crate) fn shows_trace(&self) -> bool {
        self.shows_trace
    }

    /// Content-Type and body of the page for an answer, if it has one: that of its status, else of its
    /// class.
    pub(super) fn of(&self, shown: Shown<'_>) -> Option<(&str, Vec<u8>)> {
        let status = shown.status;
        let named = self.pages.iter();
        let named = named.clone().find(|of| of.page.statuses.contains(&status));
        let class = status / 100;
        let by_class = || {
            let mut pages = self.pages.iter();
            pages.find(|of| of.page.classes.contains(&class))
        };
        let found = named.or_else(by_class)?;
        let mut body = Vec::new();
        for part in &found.page.parts {
            match part {
                PagePart::Text(text) => body.extend_from_slice(text.as_bytes()),
                PagePart::Value(value) => found.show(&mut body, *value, shown),
            }
        }
        Some((&found.page.content_type, body))
    }
}

/// Content-Type and body of the page for an answer of our own, if its listener has one.
pub(super) fn page<'a>(
    record: &Record<'a>,
    failure: Failure,
    status: u16,
) -> Option<(&'a str, Vec<u8>)> {
    let pages = record.listener().error_pages.as_ref()?;
    pages.of(Shown {
        status,
        reason: failure.as_str(),
        message: failure.sentence(),
        trace: &record.known_by(),
    })
}

impl Page {
    fn show(&self, body: &mut Vec<u8>, value: PageValue, shown: Shown<'_>) {
        let status;
        let text = match value {
            PageValue::Status => {
                status = shown.status.to_string();
                status.as_bytes()
            }
            PageValue::Phrase => reason_phrase(shown.status).as_bytes(),
            PageValue::Reason => shown.reason.as_bytes(),
            PageValue::Message => shown.message.as_bytes(),
            PageValue::TraceId => shown.trace,
        };
        for byte in text {
            self.escaping.push(body, *byte);
        }
    }
}

fn escaping_of(content_type: &str) -> Escaping {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    match kind.as_str() {
        "text/html" | "application/xml" | "text/xml" => Escaping::Html,
        kind if kind.ends_with("json") => Escaping::Json,
        kind if kind.ends_with("+xml") => Escaping::Html,
        _ => Escaping::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(
        statuses: &[u16],
        classes: &[u16],
        kind: &str,
        parts: Vec<PagePart>,
    ) -> conf::ErrorPage {
        conf::ErrorPage {
            statuses: statuses.to_vec(),
            classes: classes.to_vec(),
            content_type: kind.to_owned(),
            parts,
        }
    }

    fn shown(status: u16) -> Shown<'static> {
        Shown {
            status,
            reason: "no-target",
            message: "No target is registered for this request.",
            trace: b"Root=<\"'&\\>\xff\n",
        }
    }

    fn body(pages: &ErrorPages, status: u16) -> Option<String> {
        let (_, body) = pages.of(shown(status))?;
        Some(String::from_utf8(body).unwrap())
    }

    #[test]
    fn a_status_has_its_page_else_that_of_its_class() {
        let text = |text: &str| vec![PagePart::Text(text.to_owned())];
        let pages = [
            page(&[], &[5], "text/plain", text("class")),
            page(&[503, 429], &[], "text/plain", text("named")),
        ];
        let pages = ErrorPages::new(&pages).unwrap();
        let bodies = [503, 502, 429, 404].map(|status| body(&pages, status));
        let named = Some("named".to_owned());
        assert_eq!(
            bodies,
            [named.clone(), Some("class".to_owned()), named, None]
        );
        assert!(!pages.shows_trace() && ErrorPages::new(&[]).is_none());
    }

    #[test]
    fn what_clients_sent_cannot_become_markup() {
        let all = || {
            let values = PageValue::NAMES.iter();
            let parts = values
                .flat_map(|(_, value)| [PagePart::Text("|".to_owned()), PagePart::Value(*value)]);
            parts.collect()
        };
        let told = "|503|Service Unavailable|no-target|No target is registered for this request.|";
        let cases = [
            (
                "text/html; charset=utf-8",
                "Root=&lt;&quot;&#39;&amp;\\&gt;??",
            ),
            ("image/svg+xml", "Root=&lt;&quot;&#39;&amp;\\&gt;??"),
            ("application/problem+json", "Root=<\\\"'&\\\\>??"),
            ("text/plain", "Root=<\"'&\\>??"),
        ];
        for (kind, trace) in cases {
            let pages = ErrorPages::new(&[page(&[503], &[], kind, all())]).unwrap();
            assert_eq!(
                body(&pages, 503).unwrap(),
                format!("{told}{trace}"),
                "{kind}"
            );
            assert!(pages.shows_trace());
        }
    }
}
