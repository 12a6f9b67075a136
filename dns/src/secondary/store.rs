//! Copies in the state folder, so that a zone is served at once after a start, primaries or not.
//!
//! One file for each zone, replaced whole; the time it was changed last is the time the copy was
//! found good last. A file that is not as it was written is as good as none. Blocking: called by
//! preparation and by the thread that fetches, never by threads that answer.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use conf::{RecordType, Span};

use super::copy::ZoneCopy;
use super::incoming::Limits;
use crate::load::ParsedRecord;
use crate::name::Name;

/// Below the state folder.
const FOLDER: &str = "zones";
/// What every file begins with; the number is that of the format.
const MAGIC: &[u8] = b"pointsman zone copy 1\n";
/// Bytes of the digest that ends a file.
const DIGEST: usize = 32;

/// Where the copy of a zone is.
pub(crate) fn path(state_dir: &Path, id: &str) -> PathBuf {
    let mut name = String::new();
    for byte in id.bytes() {
        match byte {
            // A leading dot would hide it, and `..` lead elsewhere.
            b'.' if name.is_empty() => name.push_str("%2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(byte.into()),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    state_dir.join(FOLDER).join(name + ".copy")
}

/// Reads a copy and when it was found good last; `None` when there is none of this zone.
///
/// # Errors
/// The file cannot be read, or is not whole.
pub(crate) fn read(path: &Path, origin: &Name) -> io::Result<Option<(ZoneCopy, SystemTime)>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    file.take(2 * Limits::DEFAULT.bytes as u64)
        .read_to_end(&mut bytes)?;
    let broken = || io::Error::other("it is not whole");
    let body_len = bytes.len().checked_sub(DIGEST).ok_or_else(broken)?;
    let (body, tag) = bytes.split_at_checked(body_len).ok_or_else(broken)?;
    if digest(&SHA256, body).as_ref() != tag {
        return Err(broken());
    }
    let (name, records) = parse(body).ok_or_else(broken)?;
    if name != *origin {
        return Ok(None);
    }
    let copy = ZoneCopy::whole(origin, records).map_err(io::Error::other)?;
    Ok(Some((copy, metadata.modified()?)))
}

fn parse(body: &[u8]) -> Option<(Name, Vec<ParsedRecord>)> {
    let mut rest = body.strip_prefix(MAGIC)?;
    let origin = take_name(&mut rest)?;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let owner = take_name(&mut rest)?;
        let (&[t1, t2, s1, s2, s3, s4, l1, l2], after) = rest.split_first_chunk::<8>()?;
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let (rdata, after) = after.split_at_checked(length)?;
        rest = after;
        records.push(ParsedRecord {
            owner,
            rtype: RecordType(u16::from_be_bytes([t1, t2])),
            ttl: u32::from_be_bytes([s1, s2, s3, s4]),
            rdata: rdata.into(),
            span: Span::default(),
        });
    }
    Some((origin, records))
}

fn take_name(rest: &mut &[u8]) -> Option<Name> {
    let name = Name::read_wire(rest).ok()?;
    *rest = rest.get(name.as_wire().len()..)?;
    Some(name)
}

/// Writes a copy that was found good just now.
///
/// # Errors
/// The folder or the file cannot be made or written.
pub(crate) fn write(path: &Path, copy: &ZoneCopy) -> io::Result<()> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(copy.origin.as_wire());
    for record in &copy.records {
        bytes.extend_from_slice(record.owner.as_wire());
        bytes.extend_from_slice(&record.rtype.0.to_be_bytes());
        bytes.extend_from_slice(&record.ttl.to_be_bytes());
        bytes.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&record.rdata);
    }
    let tag = digest(&SHA256, &bytes);
    bytes.extend_from_slice(tag.as_ref());
    healthcheck::replace_state(path, &bytes)
}

/// Notes that the copy was found good at `now`.
///
/// # Errors
/// There is no file, or it is not ours.
pub(crate) fn touch(path: &Path, now: SystemTime) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.set_modified(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    fn copy(text: &str) -> ZoneCopy {
        let scene = Scene::of_zones(&[("a.test", text)]);
        let zone = scene.zones.zones[0].clone();
        let mut records = zone.records;
        for record in &mut records {
            record.span = Span::default();
        }
        ZoneCopy::whole(&zone.origin, records).unwrap()
    }

    #[test]
    fn a_copy_comes_back_as_it_was_and_a_damaged_one_does_not() {
        let folder = std::env::temp_dir().join(format!("dns-copies-{}", std::process::id()));
        let file = path(&folder, "../a.test");
        assert!(file.starts_with(folder.join("zones")), "{file:?}");
        assert!(file.ends_with("%2e.%2fa.test.copy"), "{file:?}");
        let copy = copy(
            "@ 60 SOA ns h 7 2 3 4 5\n@ 60 NS ns\nWww 5 TXT \"a b\" c\nx 5 TYPE999 \\# 2 abcd\n",
        );
        assert!(read(&file, &copy.origin).unwrap().is_none());
        write(&file, &copy).unwrap();
        let (again, _) = read(&file, &copy.origin).unwrap().unwrap();
        assert_eq!(again, copy);
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000);
        touch(&file, long_ago).unwrap();
        assert_eq!(read(&file, &copy.origin).unwrap().unwrap().1, long_ago);
        let other = Name::parse("b.test.", None).unwrap();
        assert!(
            read(&file, &other).unwrap().is_none(),
            "the id means another zone now"
        );
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&file, damaged).unwrap();
            assert!(read(&file, &copy.origin).is_err(), "byte {at}");
        }
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&file, &copy.origin).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
