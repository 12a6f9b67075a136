//! Query packets, made once before the run: type A, class IN, with EDNS as resolvers send it, and a
//! client subnet option where the client is said.
//!
//! The window stamps the ID per query and compares the question of each answer.

use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::Path;

/// Bytes of a DNS header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// OPT record: root owner, payload size 1232, no flags, no options (RFC 6891 section 6.1.2).
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];
/// Response code of a name that does not exist (RFC 1035 section 4.1.1).
const NXDOMAIN: u8 = 3;

/// A query whose ID is still zero.
#[derive(Debug)]
pub struct Query {
    /// The whole packet.
    pub packet: Vec<u8>,
    /// Where the question stands in it.
    pub question: Range<usize>,
    /// The name does not exist.
    pub missing: bool,
}

impl Query {
    /// The query of a line: a name's A record, and perhaps the client's network.
    ///
    /// # Errors
    /// When a label is empty or longer than 63 bytes, or the network is none.
    pub fn of_line(line: &str, missing: bool) -> io::Result<Self> {
        let mut words = line.split_whitespace();
        let mut query = Self::for_name(words.next().unwrap_or(""))?;
        query.missing = missing;
        if let Some(network) = words.next() {
            let option = subnet_option(network).ok_or_else(|| {
                let text = format!("'{network}' is no IPv4 network");
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?;
            let length = u16::try_from(option.len()).unwrap_or(0).to_be_bytes();
            query.packet.truncate(query.packet.len() - length.len());
            query.packet.extend_from_slice(&length);
            query.packet.extend_from_slice(&option);
        }
        Ok(query)
    }

    /// The query for a name's A record.
    fn for_name(name: &str) -> io::Result<Self> {
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.trim_end_matches('.').split('.') {
            let length = u8::try_from(label.len()).unwrap_or(0);
            if !(1..=63).contains(&length) {
                let text = format!("'{name}' has a label of {} bytes", label.len());
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            packet.push(length);
            packet.extend_from_slice(label.as_bytes());
        }
        packet.extend_from_slice(&[0, 0, 1, 0, 1]);
        let question = HEADER..packet.len();
        packet.extend_from_slice(&OPT);
        Ok(Self {
            packet,
            question,
            missing: false,
        })
    }

    /// Whether `answer` is NOERROR with exactly one answer to this question, or NXDOMAIN without one
    /// for a name that does not exist.
    pub fn is_answered_by(&self, answer: &[u8]) -> Result<(), String> {
        let Some(header) = answer.first_chunk::<HEADER>() else {
            return Err(format!("an answer of {} bytes", answer.len()));
        };
        let rcode = header[3] & 0x0f;
        let truncated = header[2] & 0x02 != 0;
        let answers = u16::from_be_bytes([header[6], header[7]]);
        let expected = if self.missing { (NXDOMAIN, 0) } else { (0, 1) };
        if (rcode, answers) != expected || truncated {
            return Err(format!("rcode {rcode}, TC {truncated}, {answers} answers"));
        }
        if answer.get(self.question.clone()) != self.packet.get(self.question.clone()) {
            return Err("another question than the one asked".to_owned());
        }
        Ok(())
    }
}

/// A client subnet option (RFC 7871 section 6) for an IPv4 network.
fn subnet_option(network: &str) -> Option<Vec<u8>> {
    let (address, length) = network.split_once('/')?;
    let address: Ipv4Addr = address.parse().ok()?;
    let length: u8 = length.parse().ok().filter(|length| *length <= 32)?;
    let used = usize::from(length).div_ceil(8);
    let data = u8::try_from(4 + used).ok()?;
    let mut option = vec![0, 8, 0, data, 0, 1, length, 0];
    option.extend(address.octets().iter().take(used));
    Some(option)
}

/// Reads a file of names into queries.
///
/// # Errors
/// When the file cannot be read, is empty or names something that is no domain name.
pub fn read_names(path: &Path, missing: bool) -> io::Result<Vec<Query>> {
    let queries = std::fs::read_to_string(path)?
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| Query::of_line(line, missing))
        .collect::<io::Result<Vec<_>>>()?;
    if queries.is_empty() {
        let text = format!("{} holds no name", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer_to(query: &Query) -> Vec<u8> {
        let mut answer = query.packet.clone();
        answer[2] = 0x84;
        answer[7] = 1;
        answer
    }

    #[test]
    fn a_right_answer_is_accepted() {
        let query = Query::for_name("www.example.test.").unwrap();
        assert_eq!(query.packet[query.question.clone()][..5], *b"\x03www\x07");
        assert_eq!(query.is_answered_by(&answer_to(&query)), Ok(()));
    }

    #[test]
    fn wrong_answers_are_refused() {
        let query = Query::for_name("www.example.test").unwrap();
        let other = Query::for_name("xxx.example.test").unwrap();
        assert!(query.is_answered_by(&answer_to(&other)).is_err());
        assert!(query.is_answered_by(b"short").is_err());
        let mut refused = answer_to(&query);
        refused[3] = 5;
        assert_eq!(
            query.is_answered_by(&refused).unwrap_err(),
            "rcode 5, TC false, 1 answers"
        );
    }

    #[test]
    fn missing_names_are_answered_by_nxdomain() {
        let query = Query::of_line("no.example.test", true).unwrap();
        let mut answer = answer_to(&query);
        assert!(query.is_answered_by(&answer).is_err());
        (answer[3], answer[7]) = (3, 0);
        assert_eq!(query.is_answered_by(&answer), Ok(()));
    }

    #[test]
    fn a_client_is_named_by_an_option() {
        let query = Query::of_line("www.example.test 10.1.2.0/24", false).unwrap();
        let end = &query.packet[query.question.end..];
        assert_eq!(
            end,
            b"\0\0\x29\x04\xd0\0\0\0\0\0\x0b\0\x08\0\x07\0\x01\x18\0\x0a\x01\x02"
        );
        for bad in ["a 10.1.2.0", "a 10.1.2.0/33", "a ::/0"] {
            assert!(Query::of_line(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_with_an_empty_label_is_refused() {
        assert!(Query::for_name("a..b").is_err());
    }
}
