//! Referrals, compiled: the NS records of a cut and the addresses that belong to them.
//!
//! Made by the zone compiler, copied by the answer path. Addresses of name servers at or below the
//! cut must all go with the referral or the answer is truncated (RFC 9471 section 3); those of
//! other name servers in the zone go when they fit.

use conf::RecordType;

use crate::name::Name;
use crate::wire::{Full, Response, Section, push_record};
use crate::zone::build::{Owners, soonest_ttl};

/// Bytes before the RDATA of a record whose owner is a pointer.
const RDATA_AT: usize = 12;

/// NS records followed by address records.
#[derive(Debug, Default)]
pub(crate) struct Referral {
    bytes: Box<[u8]>,
    /// Where the NS records begin: their owner is the cut.
    name_servers: Box<[u32]>,
    /// Where each address record begins and where the NS record's RDATA with its owner stands.
    addresses: Box<[(u32, u32)]>,
    /// Address records that must go along.
    required: usize,
    /// Bytes up to the end of the last of them.
    required_len: usize,
}

impl Referral {
    /// The referral at `cut` to these name servers; addresses are looked for in `owners`.
    pub(super) fn new(cut: &Name, ttl: u32, targets: &[Name], owners: &Owners<'_>) -> Self {
        let mut bytes = Vec::new();
        let mut name_servers = Vec::new();
        for target in targets {
            name_servers.push(offset(&bytes));
            push_record(&mut bytes, RecordType::NS.0, ttl, target.as_wire());
        }
        let mut referral = Self::default();
        let mut addresses = Vec::new();
        for in_domain in [true, false] {
            for (target, &server) in targets.iter().zip(&name_servers) {
                if target.is_subdomain_of(cut) == in_domain {
                    push_addresses(&mut bytes, &mut addresses, target, server, owners);
                }
            }
            if in_domain {
                referral.required = addresses.len();
                referral.required_len = bytes.len();
            }
        }
        referral.bytes = bytes.into();
        referral.name_servers = name_servers.into();
        referral.addresses = addresses.into();
        referral
    }

    /// Writes the referral; the cut's name stands at `owner` in the message.
    ///
    /// # Errors
    /// [`Full`] when not even what must go fits.
    pub(crate) fn write(&self, response: &mut Response<'_>, owner: usize) -> Result<(), Full> {
        let base = response.position();
        let (len, addresses) = if response.fits(self.bytes.len()) {
            (self.bytes.len(), self.addresses.len())
        } else {
            (self.required_len, self.required)
        };
        response.push_bytes(self.bytes.get(..len).ok_or(Full)?)?;
        for &start in &self.name_servers {
            response.point(base + start as usize, owner)?;
        }
        for &(start, name) in self.addresses.iter().take(addresses) {
            response.point(base + start as usize, base + name as usize)?;
        }
        response.add(Section::Authority, self.name_servers.len())?;
        response.add(Section::Additional, addresses)
    }
}

fn push_addresses(
    bytes: &mut Vec<u8>,
    addresses: &mut Vec<(u32, u32)>,
    target: &Name,
    server: u32,
    owners: &Owners<'_>,
) {
    let Some(owner) = owners.get(target) else {
        return;
    };
    for rtype in [RecordType::A, RecordType::AAAA] {
        let records = owner.records.get(&rtype).map_or(&[][..], Vec::as_slice);
        for record in records {
            addresses.push((offset(bytes), server + RDATA_AT as u32));
            push_record(bytes, rtype.0, soonest_ttl(records), &record.rdata);
        }
    }
}

fn offset(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
