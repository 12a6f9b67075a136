//! Updates on disk: one file for each zone in the state folder, a step appended and synced before the
//! client hears of it.
//!
//! A step that was not written whole (the machine stopped) was never confirmed, and is left out at the
//! next start with what follows it. Blocking, and short: called by the control task.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use conf::{RecordType, Span};

use super::delta::{Delta, Step};
use crate::load::ParsedRecord;
use crate::name::Name;

/// What every file begins with; the number is that of the format.
const MAGIC: &[u8] = b"pointsman zone updates 1\n";
/// Bytes of the digest that ends a step: enough against chance.
const CHECK: usize = 8;
/// Bytes of one file at most.
const MOST: u64 = 1 << 30;

/// Reads everything updates did to a zone; `None` when there is no journal of it.
///
/// # Errors
/// The file cannot be read, or is none of ours.
pub(crate) fn read(path: &Path, origin: &Name) -> io::Result<Option<Delta>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let broken = || io::Error::other("it is no journal of a zone");
    let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(broken)?;
    let name = take_name(&mut rest).ok_or_else(broken)?;
    if name != *origin {
        return Ok(None);
    }
    let mut delta = Delta::default();
    while let Some(step) = take_step(&mut rest) {
        delta.take(&step);
    }
    if !rest.is_empty() {
        let (file, bytes) = (path.display(), rest.len());
        tracing::warn!(%file, bytes, "the journal ends in a step that was not written whole; it is left out");
    }
    Ok(Some(delta))
}

fn take_step(rest: &mut &[u8]) -> Option<Step> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (body, after) = after.split_at_checked(length)?;
    let (check, after) = after.split_at_checked(CHECK)?;
    if digest(&SHA256, body).as_ref().get(..CHECK) != Some(check) {
        return None;
    }
    let mut body = body;
    let removed = take_records(&mut body)?;
    let added = take_records(&mut body)?;
    *rest = after;
    Some(Step { removed, added })
}

fn take_records(rest: &mut &[u8]) -> Option<Vec<ParsedRecord>> {
    let (count, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    let mut records = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let owner = take_name(rest)?;
        let (&[t1, t2, s1, s2, s3, s4, l1, l2], after) = rest.split_first_chunk::<8>()?;
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let (rdata, after) = after.split_at_checked(length)?;
        *rest = after;
        records.push(ParsedRecord {
            owner,
            rtype: RecordType(u16::from_be_bytes([t1, t2])),
            ttl: u32::from_be_bytes([s1, s2, s3, s4]),
            rdata: rdata.into(),
            span: Span::default(),
        });
    }
    Some(records)
}

fn take_name(rest: &mut &[u8]) -> Option<Name> {
    let name = Name::read_wire(rest).ok()?;
    *rest = rest.get(name.as_wire().len()..)?;
    Some(name)
}

fn frame(step: &Step) -> Vec<u8> {
    let mut body = Vec::new();
    for records in [&step.removed, &step.added] {
        body.extend_from_slice(&(records.len() as u32).to_be_bytes());
        for record in records {
            body.extend_from_slice(record.owner.as_wire());
            body.extend_from_slice(&record.rtype.0.to_be_bytes());
            body.extend_from_slice(&record.ttl.to_be_bytes());
            body.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
            body.extend_from_slice(&record.rdata);
        }
    }
    let check = digest(&SHA256, &body);
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&body);
    frame.extend_from_slice(check.as_ref().get(..CHECK).unwrap_or_default());
    frame
}

fn head(origin: &Name) -> Vec<u8> {
    [MAGIC, origin.as_wire()].concat()
}

/// Writes a journal anew, as one step.
///
/// # Errors
/// The folder or the file cannot be made or written.
pub(crate) fn write(path: &Path, origin: &Name, delta: &Delta) -> io::Result<()> {
    let mut bytes = head(origin);
    bytes.extend_from_slice(&frame(&delta.as_step()));
    healthcheck::replace_state(path, &bytes)
}

/// Appends steps and waits until they are on the disk. After an error the file may hold a part of
/// them: write it anew.
///
/// # Errors
/// The folder or the file cannot be made or written.
pub(crate) fn append(path: &Path, origin: &Name, steps: &[Step]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut open = OpenOptions::new();
    let mut file = open.append(true).create(true).mode(0o600).open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.len() == 0 {
        bytes.extend_from_slice(&head(origin));
    }
    for step in steps {
        bytes.extend_from_slice(&frame(step));
    }
    file.write_all(&bytes)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: &str, ttl: u32) -> ParsedRecord {
        ParsedRecord {
            owner: Name::parse(owner, None).unwrap(),
            rtype: RecordType::A,
            ttl,
            rdata: [192, 0, 2, 1].into(),
            span: Span::default(),
        }
    }

    #[test]
    fn steps_come_back_and_half_a_step_does_not() {
        let folder = std::env::temp_dir().join(format!("dns-journal-{}", std::process::id()));
        let file = folder.join("deep/a.test.updates");
        let origin = Name::parse("a.test.", None).unwrap();
        assert_eq!(read(&file, &origin).unwrap(), None);
        let steps = [
            Step {
                removed: vec![record("x.a.test.", 5)],
                added: vec![record("y.a.test.", 6)],
            },
            Step {
                removed: vec![record("y.a.test.", 6)],
                added: vec![record("x.a.test.", 7), record("z.a.test.", 8)],
            },
        ];
        append(&file, &origin, &steps[..1]).unwrap();
        let whole = std::fs::read(&file).unwrap().len();
        append(&file, &origin, &steps[1..]).unwrap();
        let mut wanted = Delta::default();
        wanted.take(&steps[0]);
        let first = wanted.clone();
        wanted.take(&steps[1]);
        assert_eq!(read(&file, &origin).unwrap().as_ref(), Some(&wanted));
        let bytes = std::fs::read(&file).unwrap();
        for end in whole..bytes.len() {
            std::fs::write(&file, &bytes[..end]).unwrap();
            assert_eq!(
                read(&file, &origin).unwrap().as_ref(),
                Some(&first),
                "{end}"
            );
        }
        write(&file, &origin, &wanted).unwrap();
        assert_eq!(read(&file, &origin).unwrap().as_ref(), Some(&wanted));
        let other = Name::parse("b.test.", None).unwrap();
        assert_eq!(read(&file, &other).unwrap(), None);
        std::fs::write(&file, b"something else").unwrap();
        assert!(read(&file, &origin).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
