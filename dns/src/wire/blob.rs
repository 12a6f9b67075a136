//! Precompiled answers: resource records in wire form, ready to be copied behind a question.
//!
//! Made when zones or decisions are compiled; copied by [`Response`](super::Response). Every owner
//! is the pointer 0xC00C, the name in the question; when a blob answers another name (the end of
//! a CNAME chain, an SOA) the copy's owners are written over. RDATA holds no pointers.

/// Owner pointer to the name in the question.
const QUESTION_NAME: [u8; 2] = [0xc0, 0x0c];
const CLASS_IN: [u8; 2] = [0, 1];

/// The records of one RRset, owned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Blob {
    bytes: Box<[u8]>,
    starts: Box<[u32]>,
}

impl Blob {
    /// The RRset of `rtype` with these RDATAs, in their order.
    pub(crate) fn new<'r>(
        rtype: u16,
        ttl: u32,
        rdatas: impl IntoIterator<Item = &'r [u8]>,
    ) -> Self {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for rdata in rdatas {
            starts.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            push_record(&mut bytes, rtype, ttl, rdata);
        }
        Self {
            bytes: bytes.into(),
            starts: starts.into(),
        }
    }

    /// What the response copies.
    pub(crate) fn view(&self) -> BlobView<'_> {
        BlobView {
            bytes: &self.bytes,
            starts: &self.starts,
        }
    }
}

/// Records to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlobView<'a> {
    /// The records one after the other.
    pub(crate) bytes: &'a [u8],
    /// Where each begins; the first at 0.
    pub(crate) starts: &'a [u32],
}

impl BlobView<'_> {
    /// Number of records.
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }
}

/// Appends one record owned by the question's name. RDATA past 65,535 bytes (the loader refuses
/// it) is cut off.
pub(crate) fn push_record(bytes: &mut Vec<u8>, rtype: u16, ttl: u32, rdata: &[u8]) {
    let length = u16::try_from(rdata.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&QUESTION_NAME);
    bytes.extend_from_slice(&rtype.to_be_bytes());
    bytes.extend_from_slice(&CLASS_IN);
    bytes.extend_from_slice(&ttl.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend(rdata.iter().take(usize::from(length)));
}
