//! The data section of an MMDB file: typed fields, read in place by where they begin.
//!
//! Called by the compiler of such files. Every read is checked against the file's end, nesting is
//! walked without recursion, and the steps of a whole file are counted, so that no file makes it
//! panic or go on for ever. MaxMind DB File Format Specification 2.0, section "Data Section".

use std::cell::Cell;

use super::Fault;

/// The part of a file that pointers count from.
#[derive(Debug)]
pub(super) struct Data<'f> {
    bytes: &'f [u8],
    /// Fields that may still be read.
    steps: Cell<u64>,
}

/// What stands at a place, pointers followed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'f> {
    /// So many pairs of key and value, from this offset on.
    Map(usize, usize),
    /// So many values, from this offset on.
    List(usize, usize),
    Text(&'f str),
    Whole(u64),
    Number(f64),
    /// A type that nothing here asks for.
    Other,
}

/// A field's first bytes: its type, its size, and where its payload begins.
struct Head {
    kind: u8,
    size: usize,
    payload: usize,
}

const POINTER: u8 = 1;
const TEXT: u8 = 2;
const DOUBLE: u8 = 3;
const U16: u8 = 5;
const U32: u8 = 6;
const MAP: u8 = 7;
const U64: u8 = 9;
const LIST: u8 = 11;
const BOOLEAN: u8 = 14;
const FLOAT: u8 = 15;

impl<'f> Data<'f> {
    /// At most `steps` fields of it will be read.
    pub(super) fn new(bytes: &'f [u8], steps: u64) -> Self {
        let steps = Cell::new(steps);
        Self { bytes, steps }
    }

    /// The field at an offset.
    pub(super) fn field(&self, at: usize) -> Result<Field<'f>, Fault> {
        let mut head = self.head(at)?;
        if head.kind == POINTER {
            head = self.head(head.size)?;
        }
        let payload = || self.slice(head.payload, head.size);
        Ok(match head.kind {
            // A pointer to a pointer is not allowed.
            POINTER => return Err(Fault::Broken("a pointer leads to a pointer")),
            MAP => Field::Map(head.size, head.payload),
            LIST => Field::List(head.size, head.payload),
            TEXT => match std::str::from_utf8(payload()?) {
                Ok(text) => Field::Text(text),
                Err(_) => return Err(Fault::Broken("a text is not UTF-8")),
            },
            U16 | U32 | U64 if head.size <= 8 => {
                let bytes = payload()?.iter();
                Field::Whole(bytes.fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            DOUBLE => Field::Number(f64::from_be_bytes(self.array(head.payload)?)),
            FLOAT => Field::Number(f32::from_be_bytes(self.array(head.payload)?).into()),
            _ => Field::Other,
        })
    }

    /// Calls `each` with every key of a map and the offset of its value.
    pub(super) fn pairs(
        &self,
        (count, mut at): (usize, usize),
        mut each: impl FnMut(&'f str, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for _ in 0..count {
            let Field::Text(key) = self.field(at)? else {
                return Err(Fault::Broken("the key of a map is not a text"));
            };
            let value = self.after(at)?;
            each(key, value)?;
            at = self.after(value)?;
        }
        Ok(())
    }

    /// The value of a key of the map at an offset; `None` when that is no map or lacks the key.
    pub(super) fn member(&self, at: usize, wanted: &str) -> Result<Option<Field<'f>>, Fault> {
        let Field::Map(count, from) = self.field(at)? else {
            return Ok(None);
        };
        let mut found = None;
        self.pairs((count, from), |key, value| {
            if key == wanted {
                found = Some(self.field(value)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The offset after the field at `at` and all that it holds; pointers are not followed.
    fn after(&self, at: usize) -> Result<usize, Fault> {
        let mut at = at;
        let mut waiting = 1_u64;
        while waiting > 0 {
            waiting -= 1;
            let head = self.head(at)?;
            at = head.payload;
            let size = head.size as u64;
            match head.kind {
                POINTER | BOOLEAN => {}
                MAP => waiting = waiting.saturating_add(size.saturating_mul(2)),
                LIST => waiting = waiting.saturating_add(size),
                _ => at = at.saturating_add(head.size),
            }
        }
        Ok(at)
    }

    fn head(&self, at: usize) -> Result<Head, Fault> {
        let left = self.steps.get().checked_sub(1);
        self.steps.set(left.ok_or(Fault::TooMuch)?);
        let [first] = self.array(at)?;
        let mut next = at + 1;
        if first >> 5 == POINTER {
            return self.pointer(first, next);
        }
        let mut kind = first >> 5;
        if kind == 0 {
            let [extended] = self.array(next)?;
            kind = extended.saturating_add(7);
            next += 1;
        }
        let (base, length) = match first & 31 {
            29 => (29, 1),
            30 => (285, 2),
            31 => (65_821, 3),
            size => (usize::from(size), 0),
        };
        let more = self.slice(next, length)?.iter();
        let size = base + more.fold(0, |size, byte| size << 8 | usize::from(*byte));
        let payload = next + length;
        Ok(Head {
            kind,
            size,
            payload,
        })
    }

    /// A pointer; its size is where it leads.
    fn pointer(&self, first: u8, next: usize) -> Result<Head, Fault> {
        let length = usize::from(first >> 3 & 3) + 1;
        let (high, base) = match length {
            1 => (usize::from(first & 7), 0),
            2 => (usize::from(first & 7), 2048),
            3 => (usize::from(first & 7), 526_336),
            _ => (0, 0),
        };
        let low = self.slice(next, length)?.iter();
        let offset = low.fold(high, |offset, byte| offset << 8 | usize::from(*byte));
        Ok(Head {
            kind: POINTER,
            size: base + offset,
            payload: next + length,
        })
    }

    fn slice(&self, at: usize, length: usize) -> Result<&'f [u8], Fault> {
        let end = at.checked_add(length);
        end.and_then(|end| self.bytes.get(at..end))
            .ok_or(Fault::Broken("it ends in the middle of its data"))
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], Fault> {
        let taken = self.slice(at, N)?;
        taken.try_into().map_err(|_| Fault::TooMuch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_specification_writes_them() {
        // {"en": "Foo", "n": 300} and a pointer to it.
        let bytes = b"\xe2\x42en\x43Foo\x41n\xa2\x01\x2c\x20\x00";
        let data = Data::new(bytes, 100);
        assert_eq!(data.field(0), Ok(Field::Map(2, 1)));
        assert_eq!(data.field(13), Ok(Field::Map(2, 1)));
        assert_eq!(data.member(13, "en"), Ok(Some(Field::Text("Foo"))));
        assert_eq!(data.member(0, "n"), Ok(Some(Field::Whole(300))));
        assert_eq!(data.member(0, "x"), Ok(None));
    }

    #[test]
    fn broken_fields_are_faults() {
        let cases: [(&[u8], usize); 4] = [
            (b"\x45Foo", 0),
            (b"\x20\x02\x20\x00", 0),
            (b"\x42\xff\xff", 0),
            (b"\xe1\x41n", 0),
        ];
        for (bytes, at) in cases {
            let data = Data::new(bytes, 100);
            let read = data.field(at).and_then(|_| data.member(at, "n"));
            assert!(read.is_err(), "{bytes:?}");
        }
        // A list of lists of lists that claims more than there can be is given up.
        let deep = [0x1f, 0x04, 0xff, 0xff, 0xff].repeat(64);
        assert!(Data::new(&deep, 40).after(0).is_err());
    }
}
