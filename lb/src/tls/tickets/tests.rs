//! Tickets over processes, time and listeners.

use std::path::PathBuf;

use rustls::server::ProducesTickets;

use super::ring::TicketKeys;
use super::{Binding, LIFETIME, Tickets, binding};

const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 60 * 60;

/// A state directory of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let process = std::process::id();
        let path = std::env::temp_dir().join(format!("pointsman-tickets-{name}-{process}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("session-tickets.keys")
    }

    /// The keys of a process that is started with it.
    fn keys(&self, more: &str, now: u64) -> std::sync::Arc<TicketKeys> {
        let text = format!("state-dir = \"{}\"\n{more}", self.0.display());
        let loaded = conf::load_text(&self.0.join("pointsman.toml"), &text);
        TicketKeys::of(&loaded.config, None, now).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn web() -> Binding {
    binding(&[b"web", b"policy"])
}

#[test]
fn a_ticket_is_good_after_a_restart_and_at_its_own_listener_alone() {
    let folder = Folder::new("restart");
    let before = Tickets::new(folder.keys("", NOW), web());
    let ticket = before.seal(b"a session", NOW).unwrap();
    let after = Tickets::new(folder.keys("", NOW + 1), web());
    assert_eq!(after.open(&ticket, NOW + 1).unwrap(), b"a session");
    let other = Tickets::new(after.keys.clone(), binding(&[b"other", b"policy"]));
    assert_eq!(other.open(&ticket, NOW + 1), None);
    // No two lists of parts are the same, however they are cut.
    assert_ne!(binding(&[b"ab", b"c"]), binding(&[b"a", b"bc"]));
}

#[test]
fn nobody_else_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    folder.keys("", NOW);
    let mode = std::fs::metadata(folder.file()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn keys_turn_every_half_day_and_open_for_one_more_lifetime() {
    let folder = Folder::new("turn");
    let tickets = Tickets::new(folder.keys("", NOW), web());
    let early = tickets.seal(b"early", NOW).unwrap();
    let late = tickets.seal(b"late", NOW + 12 * HOUR - 1).unwrap();
    tickets.keys.refresh(NOW + 12 * HOUR - 1);
    let same = tickets.seal(b"same", NOW).unwrap();
    assert_eq!(same[..16], early[..16]);
    tickets.keys.refresh(NOW + 12 * HOUR);
    let next = tickets.seal(b"next", NOW + 12 * HOUR).unwrap();
    assert_ne!(next[..16], early[..16]);
    // Its key is there, its time is over.
    assert_eq!(tickets.open(&early, NOW + u64::from(LIFETIME)), None);
    let at = NOW + 24 * HOUR - 2;
    tickets.keys.refresh(at);
    assert_eq!(tickets.open(&late, at).unwrap(), b"late");
    tickets.keys.refresh(NOW + 24 * HOUR);
    assert!(tickets.keys.current().of(&late).is_none());
    assert!(tickets.keys.current().of(&next).is_some());
}

#[test]
fn what_is_not_a_whole_ticket_of_ours_is_none() {
    let folder = Folder::new("forged");
    let tickets = Tickets::new(folder.keys("", NOW), web());
    let ticket = tickets.seal(b"a session", NOW).unwrap();
    for end in 0..ticket.len() {
        assert_eq!(tickets.open(&ticket[..end], NOW), None, "{end} bytes");
    }
    for place in 0..ticket.len() {
        let mut forged = ticket.clone();
        forged[place] ^= 1;
        assert_eq!(tickets.open(&forged, NOW), None, "byte {place}");
    }
    assert!(tickets.enabled() && tickets.lifetime() == LIFETIME);
}

#[test]
fn processes_that_share_a_file_open_each_others_tickets_through_a_change() {
    let (one, other) = (Folder::new("one"), Folder::new("other"));
    let file = one.0.join("shared.key");
    let (old, new) = ([1; 80], [2; 80]);
    std::fs::write(&file, old).unwrap();
    let more = format!("[runtime]\nticket-key-file = \"{}\"\n", file.display());
    let here = Tickets::new(one.keys(&more, NOW), web());
    let there = Tickets::new(other.keys(&more, NOW), web());
    let first = here.seal(b"first", NOW).unwrap();
    assert_eq!(there.open(&first, NOW).unwrap(), b"first");
    std::fs::write(&file, [new, old].concat()).unwrap();
    here.keys.refresh(NOW + 1);
    there.keys.refresh(NOW + 1);
    let second = there.seal(b"second", NOW).unwrap();
    assert_ne!(second[..16], first[..16]);
    for (ticket, session) in [(&first, b"first".as_slice()), (&second, b"second")] {
        assert_eq!(here.open(ticket, NOW).unwrap(), session);
    }
    // A file that is cut short changes nothing, and is told.
    std::fs::write(&file, [3; 79]).unwrap();
    here.keys.refresh(NOW + 2);
    assert!(here.keys.refused().unwrap().contains("79 bytes"));
    assert_eq!(here.open(&second, NOW).unwrap(), b"second");
    std::fs::write(&file, new).unwrap();
    here.keys.refresh(NOW + 3);
    assert_eq!((here.keys.refused(), here.open(&first, NOW)), (None, None));
}

#[test]
fn a_damaged_file_costs_what_is_damaged() {
    let folder = Folder::new("damaged");
    let tickets = Tickets::new(folder.keys("", NOW), web());
    let ticket = tickets.seal(b"a session", NOW).unwrap();
    let mut text = std::fs::read_to_string(folder.file()).unwrap();
    text.insert_str(0, "rubbish\n1800000000 zz\n");
    std::fs::write(folder.file(), text).unwrap();
    let after = Tickets::new(folder.keys("", NOW + 1), web());
    assert_eq!(after.open(&ticket, NOW + 1).unwrap(), b"a session");
}
