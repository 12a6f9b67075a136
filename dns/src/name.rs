//! Domain names: absolute, uncompressed wire form, with the case they were written in.
//!
//! Used by the zone-file scanner, the loader and the zone compiler; the query path compares wire
//! bytes of its own and never builds one. **Equality, ordering and hashing ignore ASCII case**
//! (RFC 4343): a map keyed by [`Name`] finds `WWW.Example.` under `www.example.`, and the order is
//! the canonical one of RFC 4034 section 6.1. Display and [`Name::as_wire`] keep the case.
//!
//! Length bytes are at most 63, below every ASCII letter, so case can be folded over the whole
//! wire form without looking for label boundaries. Never holds a compression pointer.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

mod text;

pub(crate) use text::unescape;

/// Longest wire form in bytes, final zero included (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;
/// Longest label in bytes (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// Why bytes or text are not a domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// More than [`MAX_NAME`] bytes on the wire.
    #[error("the name is longer than 255 bytes")]
    TooLong,
    /// A label of more than [`MAX_LABEL`] bytes.
    #[error("a label is longer than 63 bytes")]
    LabelTooLong,
    /// Two dots in a row, or a dot at the start.
    #[error("a label is empty (two dots in a row, or a dot at the start)")]
    EmptyLabel,
    /// No text at all.
    #[error("the name is empty")]
    Empty,
    /// A backslash not followed by a character or by three digits up to 255.
    #[error("a backslash must be followed by one character or by three digits up to 255")]
    BadEscape,
    /// A relative name, or `@`, where no origin is known.
    #[error("the name is relative and no origin is known")]
    NoOrigin,
    /// Wire bytes that end early, go on after the root label, or hold a pointer.
    #[error("the bytes are not one uncompressed domain name")]
    BadWire,
    /// The name does not end in the suffix that was to be replaced.
    #[error("the name is not below the name to be replaced")]
    NotBelow,
}

/// An absolute domain name in uncompressed wire form, at most 255 bytes. See the module for how
/// it compares.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// The name that `wire` is, exactly and uncompressed.
    ///
    /// # Errors
    /// [`NameError::BadWire`] or [`NameError::TooLong`].
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        match wire_len(wire)? {
            len if len == wire.len() => Ok(Self(wire.into())),
            _ => Err(NameError::BadWire),
        }
    }

    /// The uncompressed name at the start of `wire` (its length is that of [`Name::as_wire`]).
    ///
    /// # Errors
    /// [`NameError::BadWire`] or [`NameError::TooLong`].
    pub fn read_wire(wire: &[u8]) -> Result<Self, NameError> {
        let len = wire_len(wire)?;
        wire.get(..len)
            .map(|bytes| Self(bytes.into()))
            .ok_or(NameError::BadWire)
    }

    /// Reads presentation text (RFC 1035 section 5.1): `@` is the origin, a name without a final
    /// dot is below it, `\X` and `\DDD` are escapes.
    ///
    /// # Errors
    /// Any [`NameError`] that text can have; [`NameError::NoOrigin`] when one is needed.
    pub fn parse(text: impl AsRef<[u8]>, origin: Option<&Name>) -> Result<Self, NameError> {
        text::parse(text.as_ref(), origin)
    }

    /// The wire form, final zero included, case as written.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The wire form in lower case: the key to look names up by.
    pub fn to_lower_wire(&self) -> Box<[u8]> {
        self.0.to_ascii_lowercase().into_boxed_slice()
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> Self {
        Self(self.to_lower_wire())
    }

    /// True for `.`.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// True when the first label is `*` (RFC 4592 section 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Labels from the left, the root label left out.
    pub fn labels(&self) -> Labels<'_> {
        Labels { rest: &self.0 }
    }

    /// Number of labels, the root label left out.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let first = self.labels().next()?;
        self.0.get(first.len() + 1..).map(|rest| Self(rest.into()))
    }

    /// True when the name is `ancestor` or below it.
    pub fn is_subdomain_of(&self, ancestor: &Name) -> bool {
        self.relative_wire(ancestor).is_some()
    }

    /// The labels that stand before `ancestor`, in wire form without a final zero (empty when the
    /// names are equal); `None` when the name is not at or below `ancestor`.
    pub fn relative_wire(&self, ancestor: &Name) -> Option<&[u8]> {
        let split = self.0.len().checked_sub(ancestor.0.len())?;
        let (head, tail) = self.0.split_at_checked(split)?;
        if !tail.eq_ignore_ascii_case(&ancestor.0) {
            return None;
        }
        let mut at = 0;
        while at < split {
            at += usize::from(*self.0.get(at)?) + 1;
        }
        (at == split).then_some(head)
    }

    /// `label` put before the name.
    ///
    /// # Errors
    /// [`NameError::EmptyLabel`], [`NameError::LabelTooLong`] or [`NameError::TooLong`].
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        let length = match u8::try_from(label.len()) {
            Ok(0) => return Err(NameError::EmptyLabel),
            Ok(n) if label.len() <= MAX_LABEL => n,
            _ => return Err(NameError::LabelTooLong),
        };
        Self::joined(&[&[length], label, &self.0])
    }

    /// The name with the suffix `old` replaced by `new`: what a DNAME does (RFC 6672 section 2.2).
    ///
    /// # Errors
    /// [`NameError::NotBelow`], or [`NameError::TooLong`] (YXDOMAIN to a client).
    pub fn replace_suffix(&self, old: &Name, new: &Name) -> Result<Self, NameError> {
        let head = self.relative_wire(old).ok_or(NameError::NotBelow)?;
        Self::joined(&[head, &new.0])
    }

    fn joined(parts: &[&[u8]]) -> Result<Self, NameError> {
        let wire = parts.concat();
        if wire.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(Self(wire.into_boxed_slice()))
    }
}

/// Length of the uncompressed name at the start of `wire`, final zero included.
fn wire_len(wire: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let length = usize::from(*wire.get(at).ok_or(NameError::BadWire)?);
        at += length + 1;
        if at > MAX_NAME {
            return Err(NameError::TooLong);
        }
        match length {
            0 => return Ok(at),
            1..=MAX_LABEL => {}
            _ => return Err(NameError::BadWire),
        }
    }
}

/// Labels of a [`Name`] from the left.
#[derive(Debug, Clone)]
pub struct Labels<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.rest.split_first()?;
        if length == 0 {
            return None;
        }
        let (label, rest) = rest.split_at_checked(usize::from(length))?;
        self.rest = rest;
        Some(label)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut lower = [0; MAX_NAME];
        if let Some(lower) = lower.get_mut(..self.0.len()) {
            lower.copy_from_slice(&self.0);
            lower.make_ascii_lowercase();
            state.write(lower);
        }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Canonical order (RFC 4034 section 6.1). Sorting large zones is made of this: two tables of a byte for
/// each label, no allocation.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // Most names that are compared are neighbours: they differ in the first label only.
        if let (Some((ours, rest)), Some((theirs, same))) = (self.split(), other.split())
            && rest == same
        {
            return lower(ours).cmp(lower(theirs));
        }
        let (ours, theirs) = (LabelStack::of(self), LabelStack::of(other));
        ours.compare(&theirs)
    }
}

impl Name {
    /// The first label and the wire form of the rest; `None` for the root.
    fn split(&self) -> Option<(&[u8], &[u8])> {
        let (length, rest) = self.0.split_first()?;
        match length {
            0 => None,
            _ => rest.split_at_checked(usize::from(*length)),
        }
    }
}

/// Where the labels of a name are, so that they can be walked from the right without allocating.
struct LabelStack<'a> {
    wire: &'a [u8],
    /// The place of each label's length; at most 127 labels fit in 255 bytes.
    starts: [u8; 128],
    count: usize,
}

impl<'a> LabelStack<'a> {
    fn of(name: &'a Name) -> Self {
        let mut starts = [0; 128];
        let mut at = 0;
        let mut count = 0;
        for (slot, label) in starts.iter_mut().zip(name.labels()) {
            // A name has 255 bytes at most.
            *slot = at as u8;
            at += label.len() + 1;
            count += 1;
        }
        Self {
            wire: &name.0,
            starts,
            count,
        }
    }

    fn right_to_left(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        let starts = self.starts.iter().take(self.count).rev();
        starts.map(|start| {
            let label = self.wire.get(usize::from(*start)..).unwrap_or_default();
            let (length, rest) = label.split_first().unwrap_or((&0, &[]));
            rest.get(..usize::from(*length)).unwrap_or_default()
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        for (ours, theirs) in self.right_to_left().zip(other.right_to_left()) {
            // Names of one zone share most of what is on the right.
            if ours == theirs {
                continue;
            }
            let order = lower(ours).cmp(lower(theirs));
            if order.is_ne() {
                return order;
            }
        }
        self.count.cmp(&other.count)
    }
}

fn lower(label: &[u8]) -> impl Iterator<Item = u8> + '_ {
    label.iter().map(u8::to_ascii_lowercase)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
