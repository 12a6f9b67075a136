//! Chains through a slab: lists whose links stand in the entries themselves.
//!
//! Used by the flow table, which keeps every flow in the chain of its phase and perhaps in its
//! source's. Cost: each step a few loads and stores; no allocation.

use slab::Slab;

/// No neighbour.
const NONE: u32 = u32::MAX;

/// An entry's place in one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Links {
    before: u32,
    after: u32,
}

impl Default for Links {
    fn default() -> Self {
        Self {
            before: NONE,
            after: NONE,
        }
    }
}

/// What can stand in chains of kind `K`.
pub(super) trait Linked<K> {
    /// Its links of that kind.
    fn links(&mut self) -> &mut Links;
}

/// A chain: its ends.
#[derive(Debug)]
pub(super) struct Chain<K> {
    head: u32,
    tail: u32,
    len: usize,
    kind: std::marker::PhantomData<K>,
}

impl<K> Default for Chain<K> {
    fn default() -> Self {
        Self {
            head: NONE,
            tail: NONE,
            len: 0,
            kind: std::marker::PhantomData,
        }
    }
}

impl<K> Chain<K> {
    /// The first one.
    pub(super) fn head(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// The last one.
    pub(super) fn tail(&self) -> Option<u32> {
        (self.tail != NONE).then_some(self.tail)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Appends an entry that is in no chain of this kind.
    pub(super) fn push<E: Linked<K>>(&mut self, entries: &mut Slab<E>, place: u32) {
        let links = Links {
            before: self.tail,
            after: NONE,
        };
        set(entries, place, links);
        match self.tail {
            NONE => self.head = place,
            tail => change(entries, tail, |links| links.after = place),
        }
        self.tail = place;
        self.len += 1;
    }

    /// Takes an entry of this chain out.
    pub(super) fn take<E: Linked<K>>(&mut self, entries: &mut Slab<E>, place: u32) {
        let Some(entry) = entries.get_mut(place as usize) else {
            return;
        };
        let links = std::mem::take(entry.links());
        match links.before {
            NONE => self.head = links.after,
            before => change(entries, before, |neighbour| neighbour.after = links.after),
        }
        match links.after {
            NONE => self.tail = links.before,
            after => change(entries, after, |neighbour| neighbour.before = links.before),
        }
        self.len -= 1;
    }

    /// Makes an entry of this chain its last one.
    pub(super) fn move_to_end<E: Linked<K>>(&mut self, entries: &mut Slab<E>, place: u32) {
        if self.tail != place {
            self.take(entries, place);
            self.push(entries, place);
        }
    }
}

fn set<K, E: Linked<K>>(entries: &mut Slab<E>, place: u32, links: Links) {
    change(entries, place, |own| *own = links);
}

fn change<K, E: Linked<K>>(entries: &mut Slab<E>, place: u32, change: impl FnOnce(&mut Links)) {
    if let Some(entry) = entries.get_mut(place as usize) {
        change(entry.links());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kind;

    #[derive(Default)]
    struct Entry(Links);

    impl Linked<Kind> for Entry {
        fn links(&mut self) -> &mut Links {
            &mut self.0
        }
    }

    fn places(chain: &Chain<Kind>, entries: &mut Slab<Entry>) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = chain.head;
        while next != NONE {
            found.push(next);
            next = entries[next as usize].0.after;
        }
        assert_eq!(found.len(), chain.len());
        found
    }

    #[test]
    fn entries_leave_from_everywhere_and_move_to_the_end() {
        let mut entries = Slab::new();
        let mut chain = Chain::default();
        for _ in 0..5 {
            let place = entries.insert(Entry::default()) as u32;
            chain.push(&mut entries, place);
        }
        assert_eq!(places(&chain, &mut entries), [0, 1, 2, 3, 4]);
        chain.take(&mut entries, 2);
        chain.take(&mut entries, 0);
        chain.take(&mut entries, 4);
        assert_eq!(places(&chain, &mut entries), [1, 3]);
        chain.move_to_end(&mut entries, 3);
        chain.move_to_end(&mut entries, 1);
        assert_eq!(places(&chain, &mut entries), [3, 1]);
        chain.take(&mut entries, 1);
        chain.take(&mut entries, 3);
        assert_eq!(chain.head(), None);
        chain.push(&mut entries, 2);
        assert_eq!(places(&chain, &mut entries), [2]);
    }
}
