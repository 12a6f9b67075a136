//! `send` and `receive`: what tcp, udp and agent probes send, and what they look for.
//!
//! Text, or `hex:` and hexadecimal digits (Huawei: `send_content`, `receive_content`).

use crate::scalar::clipped;
use crate::tree::Reader;
use crate::{AgentCheck, Profile, TcpCheck, UdpCheck};

/// A datagram that no path on the way cuts up; for TCP, more than any greeting needs.
const MAX_BYTES: usize = 1024;

/// Reads a TCP check. Many services speak first: an answer needs no question here.
pub(super) fn tcp(reader: &mut Reader<'_>, profile: Profile) -> TcpCheck {
    if profile == Profile::Aws {
        for key in ["send", "receive"] {
            let help = "remove it, or write `defaults = \"local\"`";
            reader.misplaced(key, "a Network Load Balancer only connects", help);
        }
    }
    let send = payload(reader, "send");
    let receive = payload(reader, "receive");
    TcpCheck {
        receive: receive.or_else(|| send.as_ref().map(|_| Vec::new())),
        send: send.unwrap_or_default(),
    }
}

/// Reads a UDP check.
pub(super) fn udp(reader: &mut Reader<'_>) -> UdpCheck {
    let send = payload(reader, "send");
    let receive = payload(reader, "receive");
    if !reader.has("send") && reader.has("receive") {
        reader.misplaced(
            "receive",
            "an answer needs a question",
            "add `send`, or remove it",
        );
    }
    UdpCheck {
        receive: send.as_ref().map(|_| receive.unwrap_or_default()),
        send: send.unwrap_or_default(),
    }
}

/// A check that sends an empty datagram and takes silence for health.
pub(super) fn silence() -> UdpCheck {
    UdpCheck {
        send: Vec::new(),
        receive: None,
    }
}

/// Reads an agent check.
pub(super) fn agent(reader: &mut Reader<'_>) -> AgentCheck {
    AgentCheck {
        send: payload(reader, "send").unwrap_or_default(),
    }
}

fn payload(reader: &mut Reader<'_>, key: &str) -> Option<Vec<u8>> {
    let text = reader.text(key)?;
    let bytes = match text.value.strip_prefix("hex:") {
        Some(digits) => unhex(digits),
        None => Some(text.value.as_bytes().to_vec()),
    };
    let good = bytes.filter(|bytes| !bytes.is_empty() && bytes.len() <= MAX_BYTES);
    if good.is_none() {
        let message = format!("`{}` is nothing to {key}", clipped(text.value));
        reader.bad_value(
            text.span,
            message,
            "write 1 to 1024 bytes as text, or as `hex:` and pairs of hexadecimal digits",
        );
    }
    good
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::unhex;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex("00fFa1"), Some(vec![0, 255, 161]));
        for bad in ["0", "0g", "+1", "é"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
