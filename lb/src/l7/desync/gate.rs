//! The one question the client connection asks: may a request in which something is unusual be
//! forwarded, and how.

use conf::DesyncMode;

use super::normalise::{head_length, normalise, start_of};
use super::{Measure, Tier, Verdict, classify};
use crate::l7::http1::{HeadLimits, Refusal};

/// How strict a listener is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// What is done by tier.
    pub mode: DesyncMode,
    /// What the strict parser refuses is refused whatever the tier.
    pub framing: bool,
}

/// How an unusual request may be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage {
    /// What it is.
    pub verdict: Verdict,
    /// Both sides' connections end with it.
    pub once: bool,
    /// Bytes of the head as it came, when it was written again.
    pub rewritten: Option<usize>,
    /// The client speaks HTTP/1.0, whatever the rewritten head says.
    pub http10: bool,
}

impl Strictness {
    /// Judges a head that the strict parser takes.
    pub fn judge(self, head: &[u8]) -> Result<Passage, Refusal> {
        let verdict = classify(start_of(head));
        let once = match verdict.measure(self.mode) {
            Measure::Refuse => return Err(Refusal::Desync),
            Measure::ForwardOnce => true,
            Measure::Forward => false,
        };
        Ok(Passage {
            verdict,
            once,
            rewritten: None,
            http10: false,
        })
    }

    /// Judges what the strict parser refuses with `refusal`, and writes it again into `out` if it
    /// may pass; `None` when its head is not complete.
    pub fn judge_refused(
        self,
        bytes: &[u8],
        refusal: Refusal,
        limits: HeadLimits,
        out: &mut Vec<u8>,
    ) -> Result<Option<Passage>, Refusal> {
        if self.framing || !is_about_form(refusal) {
            return Err(refusal);
        }
        let Some(length) = head_length(bytes) else {
            return match bytes.len() < limits.bytes {
                true => Ok(None),
                false => Err(refusal),
            };
        };
        let head = bytes.get(..length).unwrap_or_default();
        let passage = self.judge(head)?;
        Ok(Some(Passage {
            // Two readers were found to differ about it: nothing may follow it.
            once: true,
            rewritten: Some(length),
            http10: normalise(out, head),
            ..passage
        }))
    }
}

/// True for refusals of how a request is written, false for those of what it asks for or how large
/// it is, and for what is no HTTP at all.
fn is_about_form(refusal: Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::BadMethod | Refusal::BadConnection | Refusal::UpgradeWithBody
    ) && matches!(refusal.status(), 400 | 505)
}

/// What a head that was refused is; `None` when nothing is wrong with its form.
pub fn verdict_of_refused(bytes: &[u8]) -> Option<Verdict> {
    let head = head_length(bytes).and_then(|length| bytes.get(..length));
    let verdict = classify(start_of(head.unwrap_or(bytes)));
    (verdict.tier > Tier::Compliant).then_some(verdict)
}
