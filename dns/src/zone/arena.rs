//! The bytes of a zone: every name with its answers behind it, so that what a query reads lies
//! together.
//!
//! Filled by the zone compiler, read on the answer path. Offsets are 32 bits wide: a zone past
//! 4 GiB is not served whole.
//! Cost of a view: two bounds checks; the answer of a name mostly shares its cache line.

use crate::wire::{BlobView, push_record};

/// Where an RRset's records are in an [`Arena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlobPlace {
    /// The zone, once it is among others; 0 inside its own table.
    pub(super) zone: u32,
    start: u32,
    len: u32,
    /// Where the records' offsets begin among the starts; unused when there is one record.
    starts: u32,
    count: u32,
}

impl BlobPlace {
    /// The same among the zones.
    pub(super) fn of_zone(self, zone: u32) -> Self {
        Self { zone, ..self }
    }
}

/// Where a name is in an [`Arena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NamePlace {
    start: u32,
    len: u8,
}

impl NamePlace {
    /// Length of the name on the wire.
    pub(super) fn len(self) -> usize {
        usize::from(self.len)
    }

    /// Where the name begins.
    pub(super) fn start(self) -> u32 {
        self.start
    }
}

/// Names and records, one after the other.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Arena {
    /// Appends a name in lower-case wire form.
    pub(super) fn push_name(&mut self, name: &[u8]) -> NamePlace {
        let start = offset(self.bytes.len());
        self.bytes.extend_from_slice(name);
        NamePlace {
            start,
            len: u8::try_from(name.len()).unwrap_or(u8::MAX),
        }
    }

    /// Appends the RRset of `rtype` with these RDATAs.
    pub(super) fn push_blob<'r>(
        &mut self,
        rtype: u16,
        ttl: u32,
        rdatas: impl ExactSizeIterator<Item = &'r [u8]>,
    ) -> BlobPlace {
        let start = self.bytes.len();
        let starts = self.starts.len();
        let count = rdatas.len();
        for rdata in rdatas {
            if count > 1 {
                self.starts.push(offset(self.bytes.len() - start));
            }
            push_record(&mut self.bytes, rtype, ttl, rdata);
        }
        BlobPlace {
            zone: 0,
            start: offset(start),
            len: offset(self.bytes.len() - start),
            starts: offset(starts),
            count: offset(count),
        }
    }

    /// A name.
    pub(super) fn name(&self, place: NamePlace) -> &[u8] {
        let start = place.start as usize;
        self.bytes
            .get(start..start + place.len())
            .unwrap_or_default()
    }

    /// So many bytes from a place on; none when there are fewer.
    pub(super) fn bytes(&self, start: u32, len: usize) -> &[u8] {
        let start = start as usize;
        self.bytes.get(start..start + len).unwrap_or_default()
    }

    /// An RRset.
    pub(super) fn blob(&self, place: BlobPlace) -> BlobView<'_> {
        let (start, first) = (place.start as usize, place.starts as usize);
        let starts = match place.count {
            1 => Some(&[0][..]),
            count => self.starts.get(first..first + count as usize),
        };
        BlobView {
            bytes: self
                .bytes
                .get(start..start + place.len as usize)
                .unwrap_or_default(),
            starts: starts.unwrap_or_default(),
        }
    }

    /// Gives back what was allocated too much.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.starts.shrink_to_fit();
    }
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
