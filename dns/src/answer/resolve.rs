//! One question followed to its end: CNAME and DNAME chains, referrals, negative answers.
//!
//! Called by [`Answerer`](super::Answerer) per query. Follows chains across all served zones, at
//! most [`MAX_CHAIN`] steps, and stops where a chain bites its own tail. Never recurses outside.
//! Cost: a lookup per step of the chain, a copy per RRset.

use std::net::IpAddr;

use conf::RecordType;
use rand::rngs::SmallRng;

use crate::load::ZoneState;
use crate::location::{Client, Found};
use crate::metrics::{Decided, ZoneLabel};
use crate::policy::{self, Asking, Witness};
use crate::snapshot::Snapshot;
use crate::wire::{BlobView, ExtendedError, Full, LowerName, NAME_AT, Rcode, Response, Section};
use crate::zone::{BlobPlace, NodeRef, Place, RoutedIdx, SetData};

/// CNAMEs followed at most, synthesised ones included.
const MAX_CHAIN: usize = 16;
/// Bytes before the RDATA of a record whose owner is a pointer.
const RDATA_AT: usize = 12;
/// TTL in seconds of the HINFO record that answers ANY.
const ANY_TTL: u32 = 3600;
/// Seconds for which the absence of records may be kept where it follows from the client's place or
/// from health: what generated SOA records say too. A zone's own negative TTL is for names that do
/// not exist.
const ROUTED_NEGATIVE_TTL: u32 = 10;
/// Longest name on the wire.
const MAX_NAME: usize = crate::name::MAX_NAME;

/// What a step of the chain led to.
enum Step {
    /// The end, with the response code.
    End(Rcode),
    /// A CNAME was written; the name it names stands here in the message.
    Follow(usize),
}

/// What is asked, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The type.
    pub(super) qtype: u16,
    /// Who is to be answered: the sender, or the network it names.
    pub(super) client: Client,
    /// The packet's sender.
    pub(super) source: IpAddr,
    /// Seconds since 1970.
    pub(super) now: u32,
}

/// A question being answered.
pub(super) struct Resolver<'s, 'b, W> {
    snapshot: &'s Snapshot,
    pub(super) response: Response<'b>,
    qtype: RecordType,
    client: Client,
    /// The packet's sender.
    source: IpAddr,
    now: u32,
    draw: &'s mut SmallRng,
    witness: &'s mut W,
    /// Where the name now looked up stands in the message.
    owner: usize,
    /// DNAMEs already in the answer.
    renamed: [Option<BlobPlace>; MAX_CHAIN],
    renames: usize,
    /// The zone of the question's own name.
    pub(super) zone_label: ZoneLabel,
    /// The first decision taken.
    pub(super) decided: Option<Decided>,
}

impl<'s, 'b, W: Witness> Resolver<'s, 'b, W> {
    pub(super) fn new(
        snapshot: &'s Snapshot,
        response: Response<'b>,
        asked: Asked,
        draw: &'s mut SmallRng,
        witness: &'s mut W,
    ) -> Self {
        Self {
            snapshot,
            response,
            qtype: RecordType(asked.qtype),
            client: asked.client,
            source: asked.source,
            now: asked.now,
            draw,
            witness,
            owner: NAME_AT,
            renamed: [None; MAX_CHAIN],
            renames: 0,
            zone_label: ZoneLabel::NONE,
            decided: None,
        }
    }

    /// Answers the question about `name`, which is the scratch space of the chain. `hash` is the name's, if
    /// it is known.
    pub(super) fn resolve(&mut self, name: &mut LowerName, hash: Option<u64>) -> Rcode {
        match self.follow(name, hash) {
            Ok(rcode) => rcode,
            Err(Full) => {
                self.response.truncate();
                Rcode::NoError
            }
        }
    }

    fn follow(&mut self, name: &mut LowerName, mut hash: Option<u64>) -> Result<Rcode, Full> {
        let mut seen = [NAME_AT; MAX_CHAIN];
        for hop in 0..=MAX_CHAIN {
            let target = match self.step(name, hash.take())? {
                Step::End(rcode) => return Ok(rcode),
                Step::Follow(target) => target,
            };
            name.fill(self.response.name_at(target));
            let visited = seen.get(..=hop).unwrap_or(&seen);
            let is_loop = visited
                .iter()
                .any(|&at| self.response.name_at(at).eq_ignore_ascii_case(name.wire()));
            if is_loop {
                break;
            }
            if let Some(place) = seen.get_mut(hop + 1) {
                *place = target;
            }
            self.owner = target;
        }
        Ok(Rcode::NoError)
    }

    fn step(&mut self, name: &LowerName, hash: Option<u64>) -> Result<Step, Full> {
        let first = self.owner == NAME_AT;
        let zones = &self.snapshot.zones;
        let place = zones.look_up_for(self.source, name.wire(), hash, self.qtype);
        let node = match place {
            Place::Elsewhere => {
                self.response.error = first.then_some(ExtendedError::NotAuthoritative);
                return Ok(Step::End(if first {
                    Rcode::Refused
                } else {
                    Rcode::NoError
                }));
            }
            Place::At(node) | Place::Missing(node) => node,
            Place::Delegated(node, ..) | Place::Renamed(node, ..) => node,
        };
        if node.zone().state != ZoneState::Good {
            return Ok(Step::End(self.unavailable(node, first)));
        }
        if first {
            self.zone_label = node.zone().label;
            self.response.authoritative = !matches!(place, Place::Delegated(..));
        }
        match place {
            Place::Elsewhere => Ok(Step::End(Rcode::Refused)),
            Place::At(node) => self.at(node, name),
            Place::Missing(node) => self.negative(node, name, Rcode::NxDomain),
            Place::Delegated(node, referral, len) => self.refer(name, node, referral, len),
            Place::Renamed(_, blob, len) => self.rename(name, blob, len),
        }
    }

    /// A zone that has no copy to answer from. A chain that leads there ends, and the client asks
    /// for the rest itself.
    fn unavailable(&mut self, node: NodeRef<'s>, first: bool) -> Rcode {
        if !first {
            return Rcode::NoError;
        }
        self.zone_label = node.zone().label;
        self.response.error = Some(match node.zone().state {
            ZoneState::Expired => ExtendedError::InvalidData,
            _ => ExtendedError::NotReady,
        });
        Rcode::ServFail
    }

    fn at(&mut self, node: NodeRef<'s>, name: &LowerName) -> Result<Step, Full> {
        if node.is_empty() {
            return self.negative(node, name, Rcode::NoError);
        }
        if self.qtype == RecordType::ANY {
            return self.refuse_any();
        }
        if let Some(data) = node.set(self.qtype) {
            if self.put(node, data)? {
                return Ok(Step::End(Rcode::NoError));
            }
        } else if let Some(data) = node.set(RecordType::CNAME) {
            let at = self.response.position();
            if self.put(node, data)? {
                return Ok(Step::Follow(at + RDATA_AT));
            }
        }
        let from = self.response.position();
        let step = self.negative(node, name, Rcode::NoError)?;
        if let Some(SetData::Routed(_)) = node.set(self.qtype) {
            // Another client, or the same one after a change of health, would get records.
            self.response
                .change_ttls(from, |ttl| ttl.min(ROUTED_NEGATIVE_TTL));
        }
        Ok(step)
    }

    /// Writes an RRset; false when a decision came to nothing.
    fn put(&mut self, node: NodeRef<'s>, data: SetData) -> Result<bool, Full> {
        let before = self.response.position();
        match data {
            SetData::Fixed(blob) => {
                let view = self.snapshot.zones.blob(blob);
                policy::simple::write(&mut self.response, view, self.owner, self.draw)?;
            }
            SetData::Routed(index) => self.decide(node, index)?,
        }
        Ok(self.response.position() > before)
    }

    /// Writes what a routed record answers this client.
    fn decide(&mut self, node: NodeRef<'s>, record: RoutedIdx) -> Result<(), Full> {
        let Some(decision) = self.snapshot.decisions.get(record) else {
            return Ok(());
        };
        // Who gets a private zone is decided by the packet's sender, and so is what it answers.
        let client = match node.zone().private {
            true => Client::from(self.source),
            false => self.client,
        };
        let Found { value, scope } = decision.class_of(client);
        let scope = if node.zone().private { 0 } else { scope };
        self.response.scope = self.response.scope.max(scope);
        if decision.plan.is_some() {
            self.witness.located(Found { value, scope });
        }
        if self.decided.is_none() {
            self.decided = Some(Decided {
                zone: node.zone().label,
                policy: decision.policy,
                reason: decision.reason(value),
            });
        }
        let asking = Asking {
            client,
            scoped: !node.zone().private,
            now: self.now,
        };
        let (response, owner) = (&mut self.response, self.owner);
        let decided = (record, value);
        self.snapshot
            .write(decided, response, owner, (asking, self.draw), self.witness)
    }

    /// ANY is answered by one HINFO record (RFC 8482 section 4.2).
    fn refuse_any(&mut self) -> Result<Step, Full> {
        const RECORD: &[u8] = b"\xc0\x0c\x00\x0d\x00\x01\0\0\0\0\x00\x09\x07RFC8482\x00";
        let mut record = [0; RECORD.len()];
        record.copy_from_slice(RECORD);
        for (place, byte) in record.iter_mut().skip(6).zip(ANY_TTL.to_be_bytes()) {
            *place = byte;
        }
        let view = BlobView {
            bytes: &record,
            starts: &[0],
        };
        self.response.push(Section::Answer, view, 0, self.owner)?;
        Ok(Step::End(Rcode::NoError))
    }

    /// NXDOMAIN or NODATA: the zone's SOA, its owner a pointer into the name looked up.
    fn negative(
        &mut self,
        node: NodeRef<'s>,
        name: &LowerName,
        rcode: Rcode,
    ) -> Result<Step, Full> {
        let zone = node.zone();
        let owner = self.suffix(name, zone.apex_len);
        self.response
            .push(Section::Authority, zone.negative.view(), 0, owner)?;
        Ok(Step::End(rcode))
    }

    fn refer(
        &mut self,
        name: &LowerName,
        node: NodeRef<'s>,
        referral: u32,
        len: usize,
    ) -> Result<Step, Full> {
        let owner = self.suffix(name, len);
        if let Some(referral) = node.referral(referral) {
            referral.write(&mut self.response, owner)?;
        }
        Ok(Step::End(Rcode::NoError))
    }

    /// Below a DNAME: the DNAME, once, and a CNAME made from it (RFC 6672 section 3.1).
    fn rename(&mut self, name: &LowerName, blob: BlobPlace, len: usize) -> Result<Step, Full> {
        let view = self.snapshot.zones.blob(blob);
        let owner = self.suffix(name, len);
        let sent = self.renamed.get(..self.renames).unwrap_or_default();
        if !sent.contains(&Some(blob)) {
            self.response.push(Section::Answer, view, 0, owner)?;
            if let Some(place) = self.renamed.get_mut(self.renames) {
                *place = Some(blob);
                self.renames += 1;
            }
        }
        let (head, target) = view.bytes.split_first_chunk::<RDATA_AT>().ok_or(Full)?;
        let prefix_len = name.wire().len().saturating_sub(len);
        let rdata_len = prefix_len + target.len();
        if rdata_len > MAX_NAME {
            return Ok(Step::End(Rcode::YxDomain));
        }
        let mut prefix = [0; MAX_NAME];
        let prefix = prefix.get_mut(..prefix_len).ok_or(Full)?;
        // The case the client wrote.
        let written = self.response.name_at(self.owner);
        prefix.copy_from_slice(written.get(..prefix_len).ok_or(Full)?);
        let at = self.response.position();
        let [_, _, _, _, class_and_ttl @ .., _, _] = head;
        self.response.push_bytes(&[0xc0, 0x0c, 0, 5])?;
        self.response.push_bytes(class_and_ttl)?;
        self.response
            .push_bytes(&u16::try_from(rdata_len).map_err(|_| Full)?.to_be_bytes())?;
        self.response.push_bytes(prefix)?;
        self.response.push_bytes(target)?;
        self.response.point(at, self.owner)?;
        self.response.add(Section::Answer, 1)?;
        if self.qtype == RecordType::CNAME || self.qtype == RecordType::ANY {
            return Ok(Step::End(Rcode::NoError));
        }
        Ok(Step::Follow(at + RDATA_AT))
    }

    /// Where the last `len` bytes of the name looked up stand in the message.
    fn suffix(&self, name: &LowerName, len: usize) -> usize {
        self.owner + name.wire().len().saturating_sub(len)
    }
}
