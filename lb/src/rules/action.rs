//! Actions compiled: the turns of weighted groups, answers written as far as they are known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::redirect::Redirect;
use crate::balance::exact_sequence;
use crate::l7::http1::RequestHead;
use crate::snapshot::Route;
use crate::sticky::{Asked, Claim, Sticky};
use crate::target::Padded;

/// What is done with a request or flow.
#[derive(Debug)]
pub(crate) enum Action {
    /// It goes to a target of one of these groups.
    Forward(Forward),
    /// It is answered with another address.
    Redirect(Redirect),
    /// It is answered as the file says.
    FixedResponse(FixedResponse),
}

impl Action {
    /// The name in logs.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Redirect(_) => "redirect",
            Self::FixedResponse(_) => "fixed-response",
        }
    }
}

/// Groups that take turns by weight: exactly, over all workers, over each whole cycle.
///
/// Cost: one atomic addition, and none for a single group; stickiness its own.
#[derive(Debug)]
pub(crate) struct Forward {
    /// At most five; of weight 0, which no turn leads to, the last ones.
    routes: Box<[Route]>,
    /// Places in `routes`, one whole cycle: the smooth weighted sequence.
    turns: Box<[u8]>,
    /// Survives reloads; shared by all workers.
    cursor: Arc<Padded<AtomicU64>>,
    /// How clients keep their group and target, if they do.
    pub(crate) sticky: Option<Box<Sticky>>,
}

impl Forward {
    /// Turns over `routes`, each with its weight, those of weight 0 at the end.
    pub(crate) fn new(
        routes: Vec<(Route, u16)>,
        cursor: Arc<Padded<AtomicU64>>,
        sticky: Option<Box<Sticky>>,
    ) -> Self {
        let (routes, mut weights): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .map(|(route, weight)| (route, u64::from(weight)))
            .unzip();
        weights.retain(|weight| *weight > 0);
        let turns = exact_sequence(&weights).into_iter();
        Self {
            routes: routes.into(),
            turns: turns.map(|place| place as u8).collect(),
            cursor,
            sticky,
        }
    }

    /// What a request says about its session; `None` when nothing here is sticky.
    pub(crate) fn claim(&self, head: &RequestHead<'_, '_>, asked: Asked<'_>) -> Option<Claim> {
        let sticky = self.sticky.as_ref()?;
        Some(sticky.claim(head, asked, || self.choose()))
    }

    /// The place of the route that a request takes.
    pub(crate) fn place(&self, claim: Option<&Claim>) -> Option<usize> {
        match claim {
            None => self.choose(),
            Some(claim) => claim.place(),
        }
    }

    /// The place of the route whose turn it is; `None` when every group has weight 0.
    pub(crate) fn choose(&self) -> Option<usize> {
        match *self.turns {
            [] => None,
            [only] => Some(usize::from(only)),
            _ => {
                let turn = self.cursor.0.fetch_add(1, Ordering::Relaxed);
                let turn = turn % self.turns.len() as u64;
                self.turns.get(turn as usize).copied().map(usize::from)
            }
        }
    }

    /// What [`Forward::choose`] would give; takes no turn.
    pub(crate) fn peek(&self) -> Option<usize> {
        let turn = self.cursor.0.load(Ordering::Relaxed);
        let turn = turn.checked_rem(self.turns.len() as u64)?;
        self.turns.get(turn as usize).copied().map(usize::from)
    }

    /// Every route with its turns in a whole cycle.
    pub(crate) fn routes(&self) -> impl Iterator<Item = (&Route, usize)> {
        let turns = |place| {
            self.turns
                .iter()
                .filter(move |turn| usize::from(**turn) == place)
        };
        let routes = self.routes.iter().enumerate();
        routes.map(move |(place, route)| (route, turns(place).count()))
    }

    /// What [`Forward::choose`] gave.
    pub(crate) fn route(&self, place: usize) -> Option<&Route> {
        self.routes.get(place)
    }

    /// The route that everything takes, if there is one.
    pub(crate) fn only_route(&self) -> Option<&Route> {
        match *self.turns {
            [only] => self.route(usize::from(only)),
            _ => None,
        }
    }
}

/// An answer that is known in full.
#[derive(Debug, Default)]
pub(crate) struct FixedResponse {
    /// Its status.
    pub(crate) status: u16,
    /// The head up to the fields that belong to the connection.
    pub(crate) head: Box<[u8]>,
    /// The body, kept back from HEAD.
    pub(crate) body: Box<[u8]>,
}

impl FixedResponse {
    /// The configured response, written.
    pub(crate) fn new(response: &conf::FixedResponse) -> Self {
        let mut head = status_line(response.status);
        if let Some(content_type) = response.content_type {
            head += &format!("Content-Type: {content_type}\r\n");
        }
        // A 204 must not have one (RFC 9110 section 8.6).
        if response.status != 204 {
            head += &format!("Content-Length: {}\r\n", response.body.len());
        }
        Self {
            status: response.status,
            head: head.into_bytes().into(),
            body: response.body.as_bytes().into(),
        }
    }
}

/// `HTTP/1.1 404 Not Found` with its line end.
pub(super) fn status_line(status: u16) -> String {
    let code = http::StatusCode::from_u16(status).ok();
    let reason = code.and_then(|code| code.canonical_reason());
    format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default())
}
