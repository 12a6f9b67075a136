//! A transfer read from bytes alone, for fuzzing.

use conf::RecordType;

use super::copy::ZoneCopy;
use super::incoming::{Ask, Incoming, Limits, Received};
use crate::name::Name;
use crate::transfer::Outgoing;

/// Reads `stream` (messages with their lengths before them) as what a primary answers when it is
/// asked, with message id 7 and unsigned, for `a.test.`: for its serial, for changes since 5 and for
/// the whole zone. Says what was made of each: the records, or why there are none.
///
/// # Panics
/// When what was taken is no zone: that is what fuzzing looks for.
pub fn read_transfer(stream: &[u8]) -> Vec<Result<usize, String>> {
    let Ok(origin) = Name::parse("a.test.", None) else {
        return Vec::new();
    };
    let asks = [Ask::Soa, Ask::Changes(5), Ask::Whole];
    asks.into_iter()
        .map(|ask| read(&origin, ask, stream))
        .collect()
}

fn read(origin: &Name, ask: Ask, mut stream: &[u8]) -> Result<usize, String> {
    let outgoing = Outgoing::default();
    let mut incoming = Incoming::new(origin, (ask, 7), &outgoing.keys, None, Limits::DEFAULT)
        .map_err(|fault| fault.to_string())?;
    while let Some((length, rest)) = stream.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        stream = rest;
        let taken = incoming
            .take(message, 0)
            .map_err(|fault| fault.to_string())?;
        let records = match taken {
            None => continue,
            Some(Received::Serial(_)) => return Ok(0),
            Some(Received::Whole(records)) => records,
            Some(Received::Changes(changes)) => {
                let soa = changes.last().and_then(|change| change.soa.clone());
                let added = changes.into_iter().flat_map(|change| change.added);
                added.chain(soa).collect()
            }
        };
        let copy = ZoneCopy::whole(origin, records).map_err(|fault| fault.to_string())?;
        let mut soas = copy.records.iter().filter(|r| r.rtype == RecordType::SOA);
        assert!(soas.next().is_some_and(|soa| soa.owner == *origin) && soas.next().is_none());
        assert!(copy.records.iter().all(|r| r.owner.is_subdomain_of(origin)));
        return Ok(copy.records.len());
    }
    Err("it does not end".to_owned())
}
