//! Query packets, made once before the run: type A, class IN, with EDNS as resolvers send it.
//!
//! The window stamps the ID per query and compares the question of each answer.

use std::io;
use std::ops::Range;
use std::path::Path;

/// Bytes of a DNS header (RFC 1035 section 4.1.1).
pub const HEADER: usize = 12;

/// OPT record: root owner, payload size 1232, no flags, no options (RFC 6891 section 6.1.2).
const OPT: [u8; 11] = [0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0];

/// A query whose ID is still zero.
#[derive(Debug)]
pub struct Query {
    /// The whole packet.
    pub packet: Vec<u8>,
    /// Where the question stands in it.
    pub question: Range<usize>,
}

impl Query {
    /// The query for a name's A record.
    ///
    /// # Errors
    /// When a label is empty or longer than 63 bytes.
    pub fn for_name(name: &str) -> io::Result<Self> {
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
        Ok(Self { packet, question })
    }

    /// Whether `answer` is NOERROR with exactly one answer to this question.
    pub fn is_answered_by(&self, answer: &[u8]) -> Result<(), String> {
        let Some(header) = answer.first_chunk::<HEADER>() else {
            return Err(format!("an answer of {} bytes", answer.len()));
        };
        let rcode = header[3] & 0x0f;
        let truncated = header[2] & 0x02 != 0;
        let answers = u16::from_be_bytes([header[6], header[7]]);
        if rcode != 0 || truncated || answers != 1 {
            return Err(format!("rcode {rcode}, TC {truncated}, {answers} answers"));
        }
        if answer.get(self.question.clone()) != self.packet.get(self.question.clone()) {
            return Err("another question than the one asked".to_owned());
        }
        Ok(())
    }
}

/// Reads a file of names into queries.
///
/// # Errors
/// When the file cannot be read, is empty or names something that is no domain name.
pub fn read_names(path: &Path) -> io::Result<Vec<Query>> {
    let queries = std::fs::read_to_string(path)?
        .split_whitespace()
        .map(Query::for_name)
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
    fn a_name_with_an_empty_label_is_refused() {
        assert!(Query::for_name("a..b").is_err());
    }
}
