//! Does with a request what its rule, or the lack of one, says.
//!
//! Called by the client connection once a head is read and matched. Forwards are the dispatcher's;
//! redirects and fixed responses are answered here, without a target. A body that nobody asked for
//! is not waited for: the connection closes instead, in a way that lets the client see the answer.

use super::buffer::Buffers;
use super::client_connection::{After, ClientConnection};
use super::dispatch::Broken;
use super::exchange::chunk_failure;
use super::failure::Failure;
use super::http1::{BodyLength, ResponseEdit, write_prepared};
use super::record::Record;
use super::request::Request;
use super::request_body::RequestBody;
use crate::metrics::RejectReason;
use crate::rules::{Action, MAX_LOCATION};
use crate::snapshot::Listener;

/// An answer that a rule makes. What stands in [`Buffers::to_target`] goes between the two parts of
/// the head.
struct Reply<'a> {
    status: u16,
    head: &'a [u8],
    head_end: &'a [u8],
    body: &'a [u8],
}

impl ClientConnection {
    /// Does what the rule that claimed the request says.
    pub(super) async fn act<'a>(
        &mut self,
        listener: &'a Listener,
        buffers: &mut Buffers,
        request: &Request,
        record: &mut Record<'a>,
    ) -> After {
        let branch = listener.branch(request.rule);
        record.branch = Some(branch);
        record.desync = request.desync;
        record.over_limit = request.over_limit;
        let limit = listener.max_request_body;
        let keeps = request.idempotent && request.body != BodyLength::Empty;
        let mut body = RequestBody::new(request.body, limit, keeps, &self.context.l7().held);
        let done = match request.denied {
            None => {
                let done = self.carry_out(&branch.action, buffers, request, &mut body, record);
                done.await
            }
            Some(denial) => {
                let scanned = body.scan(&buffers.from_client);
                Err(scanned
                    .err()
                    .map_or(Failure::Denied(denial), chunk_failure)
                    .into())
            }
        };
        match done {
            Ok(after) => after,
            Err(broken) => {
                self.broken(broken, buffers, request, &mut body, record)
                    .await
            }
        }
    }

    async fn carry_out<'a>(
        &mut self,
        action: &'a Action,
        buffers: &mut Buffers,
        request: &Request,
        body: &mut RequestBody,
        record: &mut Record<'a>,
    ) -> Result<After, Broken> {
        body.scan(&buffers.from_client).map_err(chunk_failure)?;
        let reply = match action {
            Action::Forward(forward) => {
                record.route = {
                    let place = forward.place(request.claim.as_ref());
                    place.and_then(|place| forward.route(place))
                };
                let no_target = Failure::NoChoice(RejectReason::NoTarget);
                let route = record.route.ok_or(no_target)?;
                let relayed = self.dispatch(route, buffers, request, body, record).await?;
                let after = self.relayed(relayed, request, buffers, body, record);
                return Ok(after.await);
            }
            Action::Redirect(_) if buffers.to_target.len() > MAX_LOCATION => {
                return Err(Failure::LongLocation.into());
            }
            Action::Redirect(redirect) => Reply {
                status: redirect.status,
                head: &redirect.head,
                head_end: b"\r\n",
                body: b"",
            },
            Action::FixedResponse(response) => Reply {
                status: response.status,
                head: &response.head,
                head_end: b"",
                body: &response.body,
            },
        };
        Ok(self.reply(reply, buffers, request, body, record).await)
    }

    /// After an exchange that failed for good.
    async fn broken(
        &mut self,
        broken: Broken,
        buffers: &mut Buffers,
        request: &Request,
        body: &mut RequestBody,
        record: &mut Record<'_>,
    ) -> After {
        if broken.begun {
            record.termination = Some(broken.failure.as_str());
            // Nothing that could be taken for a whole response may follow.
            if broken.is_open_ended && !self.side.is_http2() {
                self.side.reset();
            }
            return After::Close;
        }
        let keep = self.may_keep(buffers, request, body);
        let shown = Some((request, keep));
        self.answer(buffers, broken.failure, shown, record).await
    }

    /// Takes the body out of the buffer; true when the connection can take another request after
    /// an answer of our own. A body that has not come whole is not waited for.
    fn may_keep(&self, buffers: &mut Buffers, request: &Request, body: &mut RequestBody) -> bool {
        let complete = body.is_complete();
        body.finish(&mut buffers.from_client);
        complete && request.persists && !self.finished
    }

    /// Answers as a redirect or fixed response says.
    async fn reply(
        &mut self,
        reply: Reply<'_>,
        buffers: &mut Buffers,
        request: &Request,
        body: &mut RequestBody,
        record: &mut Record<'_>,
    ) -> After {
        let close = !self.may_keep(buffers, request, body) || self.context.is_draining();
        let edit = ResponseEdit {
            client: request.version,
            close,
            edits: self.response_edits(),
        };
        let (location, out) = (&buffers.to_target, &mut buffers.to_client);
        out.clear();
        let shown = if request.to_head { b"" } else { reply.body };
        write_prepared(out, &[reply.head, location, reply.head_end], shown, edit);
        (record.status, record.termination) = (reply.status, None);
        self.send(buffers, close, record).await
    }
}
