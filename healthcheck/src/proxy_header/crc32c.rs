//! CRC32c (Castagnoli; RFC 4960 appendix B), which version 2 headers may carry.
//!
//! Once per connection, over some hundred bytes: a table of 1 KiB is quick enough.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ POLYNOMIAL
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// The checksum of `parts`, one after the other.
pub fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let bytes = parts.into_iter().flatten();
    !bytes.fold(!0, |sum, byte| {
        let place = (sum as u8 ^ byte) as usize;
        sum >> 8 ^ TABLE.get(place).copied().unwrap_or_default()
    })
}
