//! TSIG (RFC 8945): messages signed with a shared secret.
//!
//! Requests are checked before anything else is done with them; answers, and every message of a
//! transfer, are signed with the key of the request. Secrets are never shown. Off the query path:
//! only messages with a TSIG record come here.

mod verify;

use aws_lc_rs::hmac;
use conf::{Config, KeyIdx, TsigAlgorithm};

use super::message::{Walk, add_count, read_name};
use crate::name::Name;
pub(crate) use verify::{Forged, Verifier};

const TYPE_TSIG: u16 = 250;
const CLASS_ANY: u16 = 255;
/// Seconds that clocks may differ (RFC 8945 section 10 recommends it).
const FUDGE: u16 = 300;
const BADSIG: u16 = 16;
const BADKEY: u16 = 17;
const BADTIME: u16 = 18;

/// A key ready for use.
#[derive(Debug)]
struct Key {
    name: Name,
    algorithm: Name,
    hmac: hmac::Key,
}

/// Every key of a configuration, by its index there.
#[derive(Debug, Default)]
pub(crate) struct Keys(Vec<Option<Key>>);

impl Keys {
    /// The keys of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let key = |key: &conf::TsigKey| {
            let parse = |text: &str| Name::parse(text, Some(&Name::root())).ok();
            let algorithm = match key.algorithm {
                TsigAlgorithm::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                TsigAlgorithm::HmacSha224 => hmac::HMAC_SHA224,
                TsigAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
                TsigAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
                TsigAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
            };
            Some(Key {
                name: parse(&key.name)?.to_lower(),
                algorithm: parse(key.algorithm.as_str())?,
                hmac: hmac::Key::new(algorithm, &key.secret),
            })
        };
        Self(config.tsig_keys.iter().map(key).collect())
    }

    fn find(&self, name: &Name, algorithm: &Name) -> Option<(KeyIdx, &Key)> {
        let keys = self.0.iter().enumerate();
        let found = keys.filter_map(|(index, key)| Some((KeyIdx(index), key.as_ref()?)));
        found
            .into_iter()
            .find(|(_, key)| key.name == *name && key.algorithm == *algorithm)
    }

    fn get(&self, key: KeyIdx) -> Option<&Key> {
        self.0.get(key.0).and_then(Option::as_ref)
    }

    /// Signs a message of our own with `key`; gives back what its answer will be checked with.
    pub(crate) fn sign_request(&self, key: KeyIdx, message: &mut Vec<u8>, now: u32) -> Signer {
        let mut signer = Signer {
            key,
            prior: Vec::new(),
            first: true,
        };
        signer.sign(self, message, now);
        signer
    }
}

/// Signs what answers a signed request.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    /// The request's key.
    pub(crate) key: KeyIdx,
    /// The signature before: the request's, then that of each message.
    prior: Vec<u8>,
    first: bool,
}

/// A signature that does not hold.
#[derive(Debug)]
pub(crate) struct Bad {
    error: u16,
    name: Name,
    algorithm: Name,
    time: [u8; 6],
    /// For a clock that differs: the answer is signed all the same.
    signer: Option<Signer>,
}

/// What a message says of itself.
#[derive(Debug)]
pub(crate) enum Signature {
    /// It has no TSIG record.
    None,
    /// It is signed by who knows the key.
    Good(Signer),
    /// It is not.
    Bad(Bad),
}

/// A TSIG record taken apart.
struct Fields<'p> {
    algorithm: Name,
    time: [u8; 6],
    fudge: u16,
    mac: &'p [u8],
    original_id: u16,
    error: [u8; 2],
    other: &'p [u8],
}

impl<'p> Fields<'p> {
    fn read(packet: &'p [u8], at: usize, end: usize) -> Option<Self> {
        let (algorithm, at) = read_name(packet, at)?;
        let rest = packet.get(at..end)?;
        let (time, rest) = rest.split_first_chunk::<6>()?;
        let (&[f1, f2, l1, l2], rest) = rest.split_first_chunk::<4>()?;
        let (mac, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        let (&[i1, i2, e1, e2, o1, o2], other) = rest.split_first_chunk::<6>()?;
        if other.len() != usize::from(u16::from_be_bytes([o1, o2])) {
            return None;
        }
        Some(Self {
            algorithm,
            time: *time,
            fudge: u16::from_be_bytes([f1, f2]),
            mac,
            original_id: u16::from_be_bytes([i1, i2]),
            error: [e1, e2],
            other,
        })
    }
}

/// Checks a request. With a TSIG record, the message without it is given back too. `None` for a
/// message that cannot be read, or whose TSIG record is not its last.
pub(crate) fn check(packet: &[u8], keys: &Keys, now: u32) -> Option<(Signature, Vec<u8>)> {
    let (head, mut walk) = Walk::begin(packet)?;
    let [questions, records @ ..] = head.counts;
    for _ in 0..questions {
        walk.question()?;
    }
    let total: u32 = records.into_iter().map(u32::from).sum();
    let mut last = None;
    for index in 0..total {
        let record = walk.record()?;
        if record.rtype == TYPE_TSIG {
            if index + 1 != total || record.class != CLASS_ANY {
                return None;
            }
            last = Some(record);
        }
    }
    let Some(record) = last else {
        return Some((Signature::None, packet.to_vec()));
    };
    let end = record.rdata_at + record.rdata.len();
    let fields = Fields::read(packet, record.rdata_at, end)?;
    let mut stripped = packet.get(..record.at)?.to_vec();
    add_count(&mut stripped, 3, u16::MAX);
    let name = record.owner.to_lower();
    let signature = judge(&fields, &name, &stripped, keys, now);
    Some((signature, stripped))
}

fn judge(fields: &Fields<'_>, name: &Name, stripped: &[u8], keys: &Keys, now: u32) -> Signature {
    let bad = |error, signer| {
        Signature::Bad(Bad {
            error,
            name: name.clone(),
            algorithm: fields.algorithm.clone(),
            time: fields.time,
            signer,
        })
    };
    let Some((index, key)) = keys.find(name, &fields.algorithm) else {
        return bad(BADKEY, None);
    };
    let mut digest = hmac::Context::with_key(&key.hmac);
    let mut message = stripped.to_vec();
    for (place, byte) in message.iter_mut().zip(fields.original_id.to_be_bytes()) {
        *place = byte;
    }
    digest.update(&message);
    variables(
        &mut digest,
        key,
        fields.time,
        fields.fudge,
        fields.error,
        fields.other,
    );
    // The whole signature is asked for; the comparison takes the same time whatever differs.
    let tag = digest.sign();
    if aws_lc_rs::constant_time::verify_slices_are_equal(tag.as_ref(), fields.mac).is_err() {
        return bad(BADSIG, None);
    }
    let signer = Signer {
        key: index,
        prior: fields.mac.to_vec(),
        first: true,
    };
    let [a, b, c, d, e, f] = fields.time;
    let time = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    if u64::from(now).abs_diff(time) > u64::from(fields.fudge) {
        return bad(BADTIME, Some(signer));
    }
    Signature::Good(signer)
}

fn variables(
    digest: &mut hmac::Context,
    key: &Key,
    time: [u8; 6],
    fudge: u16,
    error: [u8; 2],
    other: &[u8],
) {
    digest.update(&key.name.to_lower_wire());
    digest.update(&CLASS_ANY.to_be_bytes());
    digest.update(&[0; 4]);
    digest.update(&key.algorithm.to_lower_wire());
    digest.update(&time);
    digest.update(&fudge.to_be_bytes());
    digest.update(&error);
    digest.update(&(other.len() as u16).to_be_bytes());
    digest.update(other);
}

impl Signer {
    /// Appends the signature to a finished message.
    pub(crate) fn sign(&mut self, keys: &Keys, message: &mut Vec<u8>, now: u32) {
        let [a, b, c, d] = now.to_be_bytes();
        self.sign_with(keys, message, [0, 0, a, b, c, d], 0, &[]);
    }

    fn sign_with(
        &mut self,
        keys: &Keys,
        message: &mut Vec<u8>,
        time: [u8; 6],
        error: u16,
        other: &[u8],
    ) {
        let Some(key) = keys.get(self.key) else {
            return;
        };
        let mut digest = hmac::Context::with_key(&key.hmac);
        if !self.prior.is_empty() {
            digest.update(&(self.prior.len() as u16).to_be_bytes());
            digest.update(&self.prior);
        }
        digest.update(message);
        if self.first {
            variables(&mut digest, key, time, FUDGE, error.to_be_bytes(), other);
        } else {
            // Later messages of a transfer: the timers alone (section 5.3.1).
            digest.update(&time);
            digest.update(&FUDGE.to_be_bytes());
        }
        let tag = digest.sign();
        push(
            message,
            &key.name,
            &key.algorithm,
            time,
            tag.as_ref(),
            error,
            other,
        );
        self.prior = tag.as_ref().to_vec();
        self.first = false;
    }

    /// Bytes that a signature takes.
    pub(crate) fn room(&self, keys: &Keys) -> usize {
        keys.get(self.key).map_or(0, |key| {
            let names = key.name.as_wire().len() + key.algorithm.as_wire().len();
            names + 10 + 16 + key.hmac.algorithm().digest_algorithm().output_len()
        })
    }
}

impl Bad {
    /// Appends what is wrong with the request's signature (section 5.2).
    pub(crate) fn push(mut self, keys: &Keys, message: &mut Vec<u8>, now: u32) {
        let [a, b, c, d] = now.to_be_bytes();
        let other = [0, 0, a, b, c, d];
        match &mut self.signer {
            Some(signer) => signer.sign_with(keys, message, self.time, self.error, &other),
            None => push(
                message,
                &self.name,
                &self.algorithm,
                self.time,
                &[],
                self.error,
                &[],
            ),
        }
    }
}

fn push(
    message: &mut Vec<u8>,
    name: &Name,
    algorithm: &Name,
    time: [u8; 6],
    mac: &[u8],
    error: u16,
    other: &[u8],
) {
    let id: [u8; 2] = message.first_chunk().copied().unwrap_or_default();
    let length = algorithm.as_wire().len() + 16 + mac.len() + other.len();
    message.extend_from_slice(name.as_wire());
    for word in [TYPE_TSIG, CLASS_ANY, 0, 0, length as u16] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(algorithm.as_wire());
    message.extend_from_slice(&time);
    for word in [FUDGE, mac.len() as u16] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(mac);
    message.extend_from_slice(&id);
    for word in [error, other.len() as u16] {
        message.extend_from_slice(&word.to_be_bytes());
    }
    message.extend_from_slice(other);
    add_count(message, 3, 1);
}
