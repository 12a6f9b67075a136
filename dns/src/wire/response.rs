//! The response builder: header, question, precompiled records and OPT, straight into the send
//! buffer.
//!
//! Used by the answer path, one per query. A response that would pass its limit becomes an empty
//! one with TC set: a part of an RRset is never sent.
//! Cost: copies; no allocation, no syscall.

use super::{BlobView, Edns, HEADER_LEN, Header, Options, Rcode, Transport};

/// Where the question's name stands in every message.
pub(crate) const NAME_AT: usize = HEADER_LEN;
/// The largest datagram sent, and advertised (DNS flag day 2020).
const UDP_MAX: usize = 1232;
/// The largest datagram for clients without EDNS (RFC 1035 section 4.2.1).
const UDP_PLAIN_MAX: usize = 512;
const TCP_MAX: usize = 65_535;
/// Length of an OPT record without options.
const OPT_LEN: usize = 11;
/// Offsets a compression pointer can hold (RFC 1035 section 4.1.4).
const POINTER_MAX: usize = 0x3fff;

const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
const FLAG_TRUNCATED: u16 = 0x0200;
/// Opcode and RD come back as they were.
const FLAGS_COPIED: u16 = 0x7900;

/// An extended error (RFC 8914 section 4); sent with answers that have no records only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtendedError {
    /// The zone was not copied yet.
    NotReady = 14,
    /// No zone here holds the name.
    NotAuthoritative = 20,
    /// The copy of the zone is too old.
    InvalidData = 24,
}

/// The response would not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// A section of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// What was asked for.
    Answer = 0,
    /// SOA of a negative answer, NS of a referral.
    Authority = 1,
    /// Glue.
    Additional = 2,
}

/// The most bytes a response may have.
pub(crate) fn limit(transport: Transport, edns: Option<&Edns>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => TCP_MAX,
        (Transport::Udp, None) => UDP_PLAIN_MAX,
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_size).clamp(UDP_PLAIN_MAX, UDP_MAX),
    }
}

/// A response being written.
#[derive(Debug)]
pub(crate) struct Response<'b> {
    out: &'b mut [u8],
    len: usize,
    /// Records end here: the limit without the room kept for OPT.
    end: usize,
    question_end: usize,
    counts: [u16; 3],
    edns: Option<&'b Edns>,
    /// Further options to send.
    options: &'b Options,
    truncated: bool,
    /// The AA bit.
    pub(crate) authoritative: bool,
    /// Why there is no better answer.
    pub(crate) error: Option<ExtendedError>,
    /// Leading bits of the client's address that decided: the scope of the client subnet option,
    /// which is sent when the query had one.
    pub(crate) scope: u8,
}

impl<'b> Response<'b> {
    /// Begins a response of at most `limit` bytes in `out`, with `question` in it. `None` when
    /// `out` does not even hold that.
    pub(crate) fn begin(
        out: &'b mut [u8],
        limit: usize,
        question: &[u8],
        edns: Option<&'b Edns>,
        options: &'b Options,
    ) -> Option<Self> {
        let question_end = HEADER_LEN + question.len();
        let opt = edns.map_or(0, |edns| {
            let subnet = edns.subnet.map_or(0, |subnet| subnet.option_len());
            OPT_LEN + subnet + options.bytes().len()
        });
        let end = limit.min(out.len()).checked_sub(opt)?;
        if question_end > end {
            return None;
        }
        out.get_mut(HEADER_LEN..question_end)?
            .copy_from_slice(question);
        Some(Self {
            out,
            len: question_end,
            end,
            question_end,
            counts: [0; 3],
            edns,
            options,
            truncated: false,
            authoritative: false,
            error: None,
            scope: 0,
        })
    }

    /// Where the next record will stand.
    pub(crate) fn position(&self) -> usize {
        self.len
    }

    /// The uncompressed name that stands at `at` in the message.
    pub(crate) fn name_at(&self, at: usize) -> &[u8] {
        let rest = self.out.get(at..self.len).unwrap_or_default();
        let mut end = 0;
        while let Some(&length) = rest.get(end) {
            end += usize::from(length) + 1;
            if length == 0 {
                break;
            }
        }
        rest.get(..end).unwrap_or_default()
    }

    /// Copies an RRset whose owner stands at `owner` in the message, beginning with its record
    /// number `first` and going round.
    pub(crate) fn push(
        &mut self,
        section: Section,
        blob: BlobView<'_>,
        first: usize,
        owner: usize,
    ) -> Result<(), Full> {
        let at = self.len;
        let split = blob.starts.get(first).map_or(0, |&start| start as usize);
        let (head, tail) = blob.bytes.split_at_checked(split).ok_or(Full)?;
        self.push_bytes(tail)?;
        self.push_bytes(head)?;
        if owner != NAME_AT {
            for &start in blob.starts {
                let start = start as usize;
                let shifted = match start.checked_sub(split) {
                    Some(after) => after,
                    None => tail.len() + start,
                };
                self.point(at + shifted, owner)?;
            }
        }
        self.add(section, blob.count())
    }

    /// Appends bytes that are, or become by later calls, whole records.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let end = self.len + bytes.len();
        if end > self.end {
            return Err(Full);
        }
        self.out
            .get_mut(self.len..end)
            .ok_or(Full)?
            .copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Changes the TTL of every record from `from` on; the records' owners are pointers.
    pub(crate) fn change_ttls(&mut self, from: usize, change: impl Fn(u32) -> u32) {
        /// Owner pointer, type and class come before, the length of the data after.
        const TTL_AT: usize = 6;
        let mut at = from;
        while at < self.len
            && let Some([a, b, c, d, high, low]) = self
                .out
                .get_mut(at + TTL_AT..)
                .and_then(|rest| rest.first_chunk_mut())
        {
            let ttl = change(u32::from_be_bytes([*a, *b, *c, *d])).to_be_bytes();
            [*a, *b, *c, *d] = ttl;
            at += TTL_AT + 6 + usize::from(u16::from_be_bytes([*high, *low]));
        }
    }

    /// Writes a compression pointer to `target` over the two bytes at `at`.
    pub(crate) fn point(&mut self, at: usize, target: usize) -> Result<(), Full> {
        if target > POINTER_MAX {
            return Err(Full);
        }
        let pointer = u16::try_from(target).map_err(|_| Full)? | 0xc000;
        self.out
            .get_mut(at..at + 2)
            .ok_or(Full)?
            .copy_from_slice(&pointer.to_be_bytes());
        Ok(())
    }

    /// Counts `records` that were appended to a section.
    pub(crate) fn add(&mut self, section: Section, records: usize) -> Result<(), Full> {
        let records = u16::try_from(records).map_err(|_| Full)?;
        if let Some(count) = self.counts.get_mut(section as usize) {
            *count = count.checked_add(records).ok_or(Full)?;
        }
        Ok(())
    }

    /// True when `more` bytes of records still fit.
    pub(crate) fn fits(&self, more: usize) -> bool {
        self.len + more <= self.end
    }

    /// Takes every record back and sets TC: the client asks again over TCP.
    pub(crate) fn truncate(&mut self) {
        self.len = self.question_end;
        self.counts = [0; 3];
        self.truncated = true;
    }

    /// Writes header and OPT; the length of the whole message.
    pub(crate) fn finish(mut self, header: Header, rcode: Rcode) -> usize {
        self.push_opt(rcode);
        let mut flags = FLAG_RESPONSE | (header.flags & FLAGS_COPIED) | (rcode.number() & 0xf);
        if self.authoritative {
            flags |= FLAG_AUTHORITATIVE;
        }
        if self.truncated {
            flags |= FLAG_TRUNCATED;
        }
        let questions = u16::from(self.question_end > HEADER_LEN);
        let [answer, authority, additional] = self.counts;
        let words = [header.id, flags, questions, answer, authority, additional];
        if let Some(head) = self.out.first_chunk_mut::<HEADER_LEN>() {
            let [id, flags, questions, answer, authority, additional] = words.map(u16::to_be_bytes);
            *head = [
                id[0],
                id[1],
                flags[0],
                flags[1],
                questions[0],
                questions[1],
                answer[0],
                answer[1],
                authority[0],
                authority[1],
                additional[0],
                additional[1],
            ];
        }
        self.len
    }

    fn push_opt(&mut self, rcode: Rcode) {
        let Some(edns) = self.edns else { return };
        let [high, _] = (rcode.number() << 4).to_be_bytes();
        let [size_high, size_low] = u16::to_be_bytes(UDP_MAX as u16);
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        let error = self.error.map(|error| [0, 15, 0, 2, 0, error as u8]);
        let error = error.as_ref().map_or(&[][..], |option| option);
        let subnet = edns.subnet.map(|subnet| subnet.option(self.scope));
        let subnet = subnet.as_ref().map_or(&[][..], |option| option.bytes());
        let options = self.options.bytes();
        let [options_high, options_low] =
            u16::to_be_bytes((error.len() + subnet.len() + options.len()) as u16);
        let opt = [
            0,
            0,
            41,
            size_high,
            size_low,
            high,
            0,
            flags,
            0,
            options_high,
            options_low,
        ];
        // The room was kept by `begin`; the error goes only with a message that has no records.
        self.end = self.out.len();
        let mut pushed = self.push_bytes(&opt).is_ok();
        for part in [error, subnet, options] {
            pushed &= part.is_empty() || self.push_bytes(part).is_ok();
        }
        if pushed {
            let [.., additional] = &mut self.counts;
            *additional += 1;
        }
    }
}

#[cfg(test)]
mod tests;
