//! What a request's cookies say of its session, read as the data path reads them, and counted nowhere.

use tokio::time::Instant;

use crate::l7::http1::RequestHead;
use crate::metrics::{StickyOutcome, WorkerCounters};
use crate::rules::Forward;
use crate::sticky::{Asked, Claim, Memory};
use crate::wall_clock::WallClock;

/// A client's session with a forward.
pub(super) struct Session {
    /// Where it belongs; `None` when nothing of the forward is sticky or hashes requests.
    pub(super) claim: Option<Claim>,
    /// In words.
    pub(super) said: Option<String>,
}

impl Session {
    /// That of a request which `forward` is the action of.
    pub(super) fn of(forward: &Forward, head: &RequestHead<'_, '_>) -> Self {
        let Some(sticky) = &forward.sticky else {
            return Self {
                claim: None,
                said: None,
            };
        };
        // Counters of nobody: what is wrong with the cookies shows in them.
        let counters = WorkerCounters::default();
        let mut was_chosen = false;
        let asked = Asked {
            memory: &Memory::default(),
            counters: &counters,
            clock: &WallClock::default(),
            at: Instant::now(),
        };
        let claim = sticky.claim(head, asked, || {
            was_chosen = true;
            forward.peek()
        });
        let mut faults = StickyOutcome::ALL
            .into_iter()
            .filter(|outcome| counters.sticky_requests(*outcome) > 0);
        let fault = faults.next().map(StickyOutcome::as_str);
        let group = claim.place().and_then(|place| forward.route(place));
        let group = group.map_or("", |route| &route.tally.group_name);
        let said = match (sticky.has_cookies(), claim.target(), fault) {
            (false, ..) => None,
            (true, Some(target), _) => Some(format!("its cookie names target {target}")),
            (true, None, Some(fault)) => Some(format!("none: its cookie does not count ({fault})")),
            (true, None, None) if sticky.keeps_groups() && !was_chosen => {
                Some(format!("its cookie names group {group}"))
            }
            (true, None, None) => Some("none: it has no cookie of one".to_owned()),
        };
        Self {
            claim: Some(claim),
            said,
        }
    }
}
