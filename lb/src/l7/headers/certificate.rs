//! ELB's fields about the client's certificate, under other names where the listener gives some.
//!
//! The lines are made after the handshake; what clients send under either name was taken away before.
//!
//! Cost: one copy without other names; with them, a comparison of names per line.

use conf::FieldPair;

/// Appends `lines`, each a whole field with its line end, with new names for old ones.
pub(super) fn write(out: &mut Vec<u8>, lines: &[u8], renamed: &[FieldPair]) {
    if renamed.is_empty() {
        out.extend_from_slice(lines);
        return;
    }
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let new = renamed.iter().find_map(|(old, new)| {
            let rest = line.strip_prefix(old.as_bytes())?;
            rest.starts_with(b":").then_some((new, rest))
        });
        match new {
            Some((new, rest)) => {
                out.extend_from_slice(new.as_bytes());
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(line),
        }
    }
}
