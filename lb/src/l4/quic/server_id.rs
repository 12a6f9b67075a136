//! Server IDs inside connection IDs: QUIC-LB (draft-ietf-quic-load-balancers-21 section 5), and AWS,
//! whose layout is its clear-text form with 8 bytes of server ID and 7 of nonce.
//!
//! Pure. Cost: in clear text a slice; encrypted one AES block for 16 bytes, else three or four.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

/// Length of server ID and nonce together at most, by QUIC version 1's longest connection ID.
const MAX_PLAIN: usize = 19;

/// Length of a block.
const BLOCK: usize = 16;

/// Half of the longest plain text, rounded up.
const MAX_HALF: usize = MAX_PLAIN.div_ceil(2);

/// One configuration of servers that write their IDs into connection IDs.
#[derive(Debug, Clone)]
pub struct ServerIdFormat {
    rotation: u8,
    id: usize,
    nonce: usize,
    cipher: Option<Aes128>,
}

/// One half of the network's state; with an odd number of bytes each half has half of the middle
/// one.
type Half = [u8; MAX_HALF];

impl ServerIdFormat {
    /// The format as configured; the lengths are checked by whoever reads the file.
    pub fn new(config: &conf::ServerIdFormat) -> Self {
        Self {
            rotation: config.rotation,
            id: usize::from(config.server_id_length),
            nonce: usize::from(config.nonce_length),
            cipher: config.key.map(|key| Aes128::new(&Array(key))),
        }
    }

    /// The server ID in a connection ID that has this format, written into `out`; `connection` may
    /// go on past the connection ID. `None` when it is of another configuration or too short.
    pub fn server_id<'o>(
        &self,
        connection: &[u8],
        out: &'o mut [u8; MAX_PLAIN],
    ) -> Option<&'o [u8]> {
        let (first, rest) = connection.split_first()?;
        // The first octet's upper three bits (section 3.1); 0b111 is never configured.
        if first >> 5 != self.rotation {
            return None;
        }
        let text = rest.get(..self.id + self.nonce)?;
        out.get_mut(..text.len())?.copy_from_slice(text);
        if let Some(cipher) = &self.cipher {
            match <&mut [u8; BLOCK]>::try_from(out.get_mut(..text.len())?) {
                Ok(block) => decrypt_block(cipher, block),
                Err(_other_length) => decrypt_passes(cipher, text, out),
            }
        }
        out.get(..self.id)
    }

    /// Bytes of the connection ID that are looked at.
    pub(crate) fn len(&self) -> usize {
        1 + self.id + self.nonce
    }
}

fn decrypt_block(cipher: &Aes128, block: &mut [u8; BLOCK]) {
    let mut array = Array(*block);
    cipher.decrypt_block(&mut array);
    *block = array.into();
}

/// Section 5.5.2: a Feistel network of four rounds backwards.
fn decrypt_passes(cipher: &Aes128, text: &[u8], out: &mut [u8; MAX_PLAIN]) {
    let network = Network {
        cipher,
        plain: text.len(),
    };
    let (mut left, mut right) = network.split(text);
    network.pass(4, &right, &mut left, Side::Left);
    network.pass(3, &left, &mut right, Side::Right);
    network.pass(2, &right, &mut left, Side::Left);
    // Needed only where the server ID is longer than its half; costs less than asking.
    network.pass(1, &left, &mut right, Side::Right);
    network.join(&left, &right, out);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

struct Network<'c> {
    cipher: &'c Aes128,
    plain: usize,
}

impl Network<'_> {
    fn half(&self) -> usize {
        self.plain.div_ceil(2)
    }

    fn is_odd(&self) -> bool {
        self.plain % 2 == 1
    }

    fn split(&self, text: &[u8]) -> (Half, Half) {
        let (mut left, mut right) = (Half::default(), Half::default());
        let half = self.half();
        let from_end = text.len().saturating_sub(half);
        for (to, from) in left.iter_mut().zip(text.iter().take(half)) {
            *to = *from;
        }
        for (to, from) in right.iter_mut().zip(text.iter().skip(from_end)) {
            *to = *from;
        }
        self.trim(&mut left, Side::Left);
        self.trim(&mut right, Side::Right);
        (left, right)
    }

    fn join(&self, left: &Half, right: &Half, out: &mut [u8; MAX_PLAIN]) {
        let half = self.half();
        for (to, from) in out.iter_mut().zip(left.iter().take(half)) {
            *to = *from;
        }
        let from_end = self.plain.saturating_sub(half);
        let tail = out.iter_mut().skip(from_end);
        for (place, (to, from)) in tail.zip(right.iter().take(half)).enumerate() {
            *to = if place == 0 && self.is_odd() {
                *to | *from
            } else {
                *from
            };
        }
    }

    /// Mixes `from`, expanded and encrypted, into `to`.
    fn pass(&self, pass: u8, from: &Half, to: &mut Half, side: Side) {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(from.iter().take(self.half())) {
            *to = *from;
        }
        let [.., length, number] = &mut block;
        (*length, *number) = (self.plain as u8, pass);
        let mut array = Array(block);
        self.cipher.encrypt_block(&mut array);
        for (to, from) in to.iter_mut().zip(array.iter()).take(self.half()) {
            *to ^= *from;
        }
        self.trim(to, side);
    }

    /// With an odd length the middle byte's halves belong to one side each.
    fn trim(&self, half: &mut Half, side: Side) {
        if !self.is_odd() {
            return;
        }
        let (place, mask) = match side {
            Side::Left => (self.half() - 1, 0xf0),
            Side::Right => (0, 0x0f),
        };
        if let Some(byte) = half.get_mut(place) {
            *byte &= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let pairs = (0..text.len()).step_by(2);
        pairs
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn decodes(rotation: u8, server_id: &str, nonce: &str, key: &str, connection: &str) {
        let format = ServerIdFormat::new(&conf::ServerIdFormat {
            rotation,
            server_id_length: (server_id.len() / 2) as u8,
            nonce_length: (nonce.len() / 2) as u8,
            key: (!key.is_empty()).then(|| hex(key).try_into().unwrap()),
        });
        let connection = hex(connection);
        assert_eq!(format.len(), connection.len());
        let mut out = [0; MAX_PLAIN];
        let found = format.server_id(&connection, &mut out).map(<[u8]>::to_vec);
        assert_eq!(found, Some(hex(server_id)));
        // The whole plain text comes out, the nonce too.
        let plain = [hex(server_id), hex(nonce)].concat();
        assert_eq!(out[..plain.len()], plain);
        let long = [&connection[..], &[7; 30]].concat();
        assert_eq!(format.server_id(&long, &mut out), Some(&hex(server_id)[..]));
        let cut = &connection[..connection.len() - 1];
        assert_eq!(format.server_id(cut, &mut out), None);
        let mut other = connection.clone();
        other[0] ^= 0x80;
        assert_eq!(format.server_id(&other, &mut out), None);
    }

    /// Appendix B of the draft. Its second line in clear text lacks half a byte and is left out; its
    /// last one names rotation bits 3, but the first octet has 0.
    #[test]
    fn the_drafts_vectors() {
        decodes(0, "c4605e", "4504cc4f", "", "07c4605e4504cc4f");
        let key = "8f95f09245765f80256934e50c66207f";
        decodes(0, "ed793a", "ee080dbf", key, "0720b1d07b359d3c");
        let (long, short) = ("ed793a51d49b8f5fab65", "ee080dbf48");
        decodes(1, long, short, key, "2fcc381bc74cb4fbad2823a3d1f8fed2");
        let (id, nonce) = ("ed793a51d49b8f5f", "ee080dbf48c0d1e5");
        decodes(2, id, nonce, key, "504dd2d05a7b0de9b2b9907afb5ecf8cc3");
        let (id, nonce) = ("ed793a51d49b8f5fab", "ee080dbf48c0d1e55d");
        decodes(0, id, nonce, key, "125779c9cc86beb3a3a4a3ca96fce4bfe0cdbc");
    }

    /// Section 5.4.2.4's worked example.
    #[test]
    fn the_drafts_example() {
        let key = "fdf726a9893ec05c0632d3956680baf0";
        decodes(0, "31441a", "9c69c275", key, "0767947d29be054a");
    }

    /// What an NLB's targets issue: one zero byte, the server ID, seven bytes of their own.
    #[test]
    fn the_layout_of_aws() {
        decodes(
            0,
            "1122334455667788",
            "01020304050607",
            "",
            "00112233445566778801020304050607",
        );
    }
}
