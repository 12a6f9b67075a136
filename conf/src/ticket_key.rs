//! Reads the secrets that session tickets are sealed with from a file that several processes share.
//!
//! Called by the resolver, and by who watches the file of a running process. The file has 80 random
//! bytes for each secret and nothing else, as nginx's `ssl_session_ticket_key` has for one; the
//! tickets themselves are no other program's. Secrets are never shown.

use std::fmt;
use std::path::Path;

/// Bytes of one secret.
pub const TICKET_SECRET_BYTES: usize = 80;

/// Secrets of one file: two are enough to go from one to the next, and each is tried for a ticket.
const MAX_SECRETS: usize = 16;

/// What the keys of session tickets are made from.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketSecret(pub [u8; TICKET_SECRET_BYTES]);

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret")
    }
}

/// Reads a file of secrets: the first seals tickets, all open them.
///
/// # Errors
/// What is wrong with it, a sentence that begins with the file, and how to mend it.
pub fn read_ticket_secrets(path: &Path) -> Result<Vec<TicketSecret>, (String, &'static str)> {
    let file = path.display();
    let make = "make it with `openssl rand -out FILE 80`, readable for this process alone";
    let unreadable = |error: std::io::Error| (format!("`{file}` cannot be read: {error}"), make);
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    let most = (MAX_SECRETS * TICKET_SECRET_BYTES) as u64;
    if length == 0 || length > most || !length.is_multiple_of(TICKET_SECRET_BYTES as u64) {
        let what = format!(
            "`{file}` has {length} bytes, which is no number of secrets of {TICKET_SECRET_BYTES} bytes, 1 to {MAX_SECRETS}"
        );
        return Err((what, make));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let (secrets, _rest) = bytes.as_chunks::<TICKET_SECRET_BYTES>();
    let secrets = secrets.iter().map(|secret| TicketSecret(*secret));
    Ok(secrets.collect())
}
