//! Signatures of answers: of one message, or of the many of a transfer, not all of them signed.
//!
//! Used for what primaries send and for answers to NOTIFY. Takes bytes and the time, holds no
//! socket.

use aws_lc_rs::hmac;
use conf::KeyIdx;

use super::{BADKEY, BADSIG, BADTIME, CLASS_ANY, Fields, Key, Keys, Signer, TYPE_TSIG, variables};
use crate::transfer::message::{Raw, Walk, add_count};

/// Why an answer's signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forged {
    /// There is none, or too long none.
    #[error("it is not signed")]
    Missing,
    /// Another key or secret, or a message that was changed.
    #[error("it is not signed with the key")]
    Wrong,
    /// The clocks differ by more than the fudge.
    #[error("the signature's time is not ours: the clocks differ")]
    Time,
    /// The other side does not accept ours.
    #[error("it does not accept our signature ({0})")]
    Refused(&'static str),
}

/// Unsigned messages between two signed ones of a transfer at most (RFC 8945 section 5.3.1).
const MOST_UNSIGNED: u32 = 99;

/// Checks the messages that answer a signed request, one after the other.
#[derive(Debug)]
pub(crate) struct Verifier {
    key: KeyIdx,
    /// The signature before, and the messages since.
    digest: hmac::Context,
    first: bool,
    unsigned: u32,
}

impl Verifier {
    /// For the answer to what `signer` signed last; `None` when its key is gone.
    pub(crate) fn new(keys: &Keys, signer: &Signer) -> Option<Self> {
        Some(Self {
            key: signer.key,
            digest: keys.get(signer.key)?.digest_after(&signer.prior),
            first: true,
            unsigned: 0,
        })
    }

    /// Takes the next message; true when it, and so all before it, are known to be genuine.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn take(&mut self, keys: &Keys, packet: &[u8], now: u32) -> Result<bool, Forged> {
        let key = keys.get(self.key).ok_or(Forged::Wrong)?;
        let Some(record) = last_tsig(packet).ok_or(Forged::Wrong)? else {
            self.unsigned += 1;
            if self.first || self.unsigned > MOST_UNSIGNED {
                return Err(Forged::Missing);
            }
            self.digest.update(packet);
            return Ok(false);
        };
        let end = record.rdata_at + record.rdata.len();
        let fields = Fields::read(packet, record.rdata_at, end).ok_or(Forged::Wrong)?;
        refused(fields.error)?;
        let owner = record.owner.to_lower();
        let proper = record.class == CLASS_ANY && record.ttl == 0;
        if !proper || owner != key.name || fields.algorithm != key.algorithm {
            return Err(Forged::Wrong);
        }
        let mut message = packet.get(..record.at).ok_or(Forged::Wrong)?.to_vec();
        add_count(&mut message, 3, u16::MAX);
        for (place, byte) in message.iter_mut().zip(fields.original_id.to_be_bytes()) {
            *place = byte;
        }
        self.digest.update(&message);
        if self.first {
            let Fields {
                time, fudge, error, ..
            } = fields;
            variables(&mut self.digest, key, time, fudge, error, fields.other);
        } else {
            self.digest.update(&fields.time);
            self.digest.update(&fields.fudge.to_be_bytes());
        }
        let next = key.digest_after(fields.mac);
        let tag = std::mem::replace(&mut self.digest, next).sign();
        aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), fields.mac)
            .map_err(|_| Forged::Wrong)?;
        let [a, b, c, d, e, f] = fields.time;
        let time = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        if u64::from(now).abs_diff(time) > u64::from(fields.fudge) {
            return Err(Forged::Time);
        }
        (self.first, self.unsigned) = (false, 0);
        Ok(true)
    }
}

/// The TSIG record that ends a message, if one does; `None` for a message that cannot be read.
fn last_tsig(packet: &[u8]) -> Option<Option<Raw<'_>>> {
    let (head, mut walk) = Walk::begin(packet)?;
    let [questions, records @ ..] = head.counts;
    for _ in 0..questions {
        walk.question()?;
    }
    let mut last = None;
    for _ in 0..records.into_iter().map(u32::from).sum() {
        last = Some(walk.record()?);
    }
    Some(last.filter(|record| record.rtype == TYPE_TSIG))
}

/// The errors an answer can bear (section 3).
fn refused(error: [u8; 2]) -> Result<(), Forged> {
    match u16::from_be_bytes(error) {
        0 => Ok(()),
        BADSIG => Err(Forged::Refused("BADSIG")),
        BADKEY => Err(Forged::Refused("BADKEY")),
        BADTIME => Err(Forged::Refused("BADTIME")),
        _ => Err(Forged::Refused("another error")),
    }
}

impl Key {
    /// A digest that has the signature before in it.
    fn digest_after(&self, prior: &[u8]) -> hmac::Context {
        let mut digest = hmac::Context::with_key(&self.hmac);
        digest.update(&(prior.len() as u16).to_be_bytes());
        digest.update(prior);
        digest
    }
}
