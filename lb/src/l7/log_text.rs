//! Texts of a request that the access log shows: copied one after the other while the head is there.
//!
//! Cost: one copy each into a buffer that is used again; without a log nothing.

use super::headers::write_trace_id;
use super::http1::RequestHead;
use crate::access_log::Detail;
use crate::past::MAX_HEAD;
use crate::rules::Passed;

/// How many texts there are.
const COUNT: usize = 9;

/// A text.
#[derive(Debug, Clone, Copy)]
pub(super) enum LogText {
    Method,
    Host,
    Target,
    RewrittenHost,
    RewrittenTarget,
    Location,
    UserAgent,
    TraceId,
    /// The whole head as it came.
    Head,
}

/// Where each text ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LogMarks([u32; COUNT]);

/// What a request led to, as bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Led<'a> {
    /// To nothing, or to an answer that the rule holds.
    Nowhere,
    /// To this Location.
    Location(&'a [u8]),
    /// To this head for a target.
    Forwarded(&'a [u8]),
}

impl LogMarks {
    /// Copies the texts of a request into `out`; the rarely wanted ones only for full detail.
    pub(super) fn write(
        out: &mut Vec<u8>,
        head: &RequestHead<'_, '_>,
        passed: Option<&Passed>,
        led: Led<'_>,
        detail: Detail,
    ) -> Self {
        out.clear();
        let rewritten = passed.map(|passed| &passed.rewritten);
        let host = rewritten.and_then(|rewritten| rewritten.host.as_deref());
        let target = rewritten.and_then(|rewritten| rewritten.target.as_deref());
        let (location, forwarded) = match led {
            Led::Nowhere => (&[][..], &[][..]),
            Led::Location(location) => (location, &[][..]),
            Led::Forwarded(forwarded) => (&[][..], forwarded),
        };
        let texts = [
            head.method.as_bytes(),
            head.host.unwrap_or_default().as_bytes(),
            head.target.as_bytes(),
            host.unwrap_or_default().as_bytes(),
            target.unwrap_or_default().as_bytes(),
            location,
        ];
        let mut marks = Self::default();
        for (mark, text) in marks.0.iter_mut().zip(texts) {
            // Most of them are, and copying nothing is a call all the same.
            if !text.is_empty() {
                out.extend_from_slice(text);
            }
            *mark = end(out);
        }
        let is_full = detail >= Detail::Full;
        if is_full {
            let mut named = head.fields.iter();
            let agent = named.find(|field| field.name.eq_ignore_ascii_case("user-agent"));
            out.extend_from_slice(agent.map_or(&[][..], |field| field.value));
        }
        marks.0[LogText::UserAgent as usize] = end(out);
        if is_full {
            write_trace_id(out, forwarded, head.fields);
        }
        marks.0[LogText::TraceId as usize] = end(out);
        if detail >= Detail::Whole && head.bytes.len() <= MAX_HEAD {
            out.extend_from_slice(head.bytes);
        }
        marks.0[LogText::Head as usize] = end(out);
        marks
    }

    /// A text.
    pub(super) fn text(self, texts: &[u8], which: LogText) -> &[u8] {
        let place = which as usize;
        let end = |place: usize| self.0.get(place).map_or(0, |end| *end as usize);
        let start = place.checked_sub(1).map_or(0, end);
        texts.get(start..end(place)).unwrap_or_default()
    }
}

fn end(out: &[u8]) -> u32 {
    u32::try_from(out.len()).unwrap_or(u32::MAX)
}
