//! The answer of another server read from bytes alone, for fuzzing.

use super::message::{Asked, Verdict, judge, lifetime, reply};
use crate::transfer::message::Walk;
use crate::wire::Transport;

/// Takes `answer` as what a server says to a question for `www.a.test. A` with id 7, and makes of it
/// what a client gets that speaks EDNS, and one that does not, by datagram and by stream. The lengths;
/// nothing when the answer is not taken.
///
/// # Panics
/// When what a client would get cannot be read or is too long: that is what fuzzing looks for.
pub fn read_forwarded(answer: &[u8]) -> Option<[usize; 3]> {
    let question = &b"\x03www\x01a\x04test\0\0\x01\0\x01"[..];
    let asked = |edns| Asked {
        id: 9,
        flags: 0x0100,
        question: question.into(),
        edns,
    };
    let sent = [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], question].concat();
    if judge(&sent, answer) != Verdict::Good {
        return None;
    }
    let kept = lifetime(answer, 100);
    assert!(kept <= 100, "kept for {kept} seconds");
    let kinds = [
        (Transport::Udp, None, 512),
        (Transport::Udp, Some((1232, true)), 1232),
        (Transport::Tcp, Some((1232, false)), 65_535),
    ];
    Some(kinds.map(|(transport, edns, most)| {
        let message = reply(&asked(edns), answer, kept, transport);
        assert!(message.len() <= most, "{} bytes", message.len());
        let read = || {
            let (head, mut walk) = Walk::begin(&message)?;
            walk.question()?;
            let [_, records @ ..] = head.counts;
            (0..records.into_iter().map(u32::from).sum())
                .all(|_| walk.record().is_some())
                .then_some(head.id)
        };
        assert_eq!(read(), Some(9), "{message:02x?}");
        message.len()
    }))
}
