//! A client's session with its target: between the dispatcher and stickiness by cookie.
//!
//! Called once per exchange and once per attempt. Requests whose forward is not sticky carry no
//! claim and pay one branch for it.

use super::buffer::Buffers;
use super::client_connection::ClientConnection;
use super::record::Record;
use super::request::Request;
use crate::balance::Origin;
use crate::rules::Action;
use crate::sticky::{Claim, Sticky};
use crate::target::Target;

/// Where a request comes from, with the target that its session has.
pub(super) fn origin(client: &ClientConnection, request: &Request) -> Origin {
    let origin = Origin::tcp(client.peer, client.local);
    match &request.claim {
        None => origin,
        Some(claim) => claim.origin(origin),
    }
}

/// Prepares what the client is told of the target that the request goes to now.
#[inline(never)]
pub(super) fn tell(
    client: &ClientConnection,
    request: &Request,
    target: &Target,
    buffers: &mut Buffers,
    record: &Record<'_>,
) {
    let is_secure = client.side.session().is_some();
    if let Some((claim, sticky)) = claimed(request, record) {
        let memory = &client.context.l7().cookies;
        let told = (target.address(), is_secure);
        sticky.answer(claim, told, memory, &mut buffers.set_cookies);
    }
}

/// Counts an answer by whether the session kept its target.
#[inline(never)]
pub(super) fn count(
    client: &ClientConnection,
    request: &Request,
    target: &Target,
    record: &Record<'_>,
) {
    if let Some((claim, sticky)) = claimed(request, record) {
        sticky.count(claim, target.address(), client.context.counters());
    }
}

fn claimed<'a>(request: &'a Request, record: &Record<'a>) -> Option<(&'a Claim, &'a Sticky)> {
    let claim = request.claim.as_ref()?;
    match &record.branch?.action {
        Action::Forward(forward) => Some((claim, forward.sticky.as_deref()?)),
        _ => None,
    }
}
