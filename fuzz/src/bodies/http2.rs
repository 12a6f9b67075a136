//! A request of HTTP/2 as HTTP/1.1 text: whatever its fields hold, the text is refused, or is one head
//! that says what the request said.
//!
//! An input is lines of `name: value`; those that the h2 crate would have refused are left out.

use std::mem::MaybeUninit;

use http::{HeaderName, HeaderValue, Method, Request, Uri};
use lb::l7::http1::{BodyLength, HeadLimits, MAX_FIELDS, parse_request};
use lb::l7::http2::request_text;

use super::{Body, outcome, seeds};

const LIMITS: HeadLimits = HeadLimits { bytes: 65_536 };

/// Fields of a connection, which the crate refuses in HTTP/2 (RFC 9113 section 8.2.2).
const HOP_BY_HOP: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn body() -> Body {
    Body {
        name: "http2-request",
        seeds: seeds(&[
            ":method: GET\n:authority: a.example\n:path: /a?b\nx: 1\ncookie: a=1\ncookie: b=2",
            ":method: POST\n:authority: a:80\n:path: /\ncontent-length: 5\nhost: a:80",
            ":method: OPTIONS\n:authority: a\n:path: *\nte: trailers\nexpect: 100-continue",
            ":method: CONNECT\n:authority: a:443",
            ":path: /\nhost: a\nhost: b\nx:  \t1",
        ]),
        words: &[
            b":path: ",
            b":authority: ",
            b"host: ",
            b"content-length: 0\n",
            b"cookie: ",
            b"http://b/",
            b"\r\n\r\n",
            b"content_length: 1\n",
        ],
        run: Box::new(run),
    }
}

/// The request that `input` names, as far as the types of HTTP can hold it.
fn request(input: &[u8]) -> Option<Request<()>> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    let mut request = Request::new(());
    for line in input.split(|&byte| byte == b'\n') {
        let skipped = usize::from(line.first() == Some(&b':'));
        let colon = line.iter().skip(skipped).position(|&byte| byte == b':')? + skipped;
        let (name, value) = line.split_at(colon);
        let value = value.get(2..).unwrap_or_default();
        match name {
            b":method" => *request.method_mut() = Method::from_bytes(value).ok()?,
            b":authority" => parts.authority = Some(value.try_into().ok()?),
            b":path" => parts.path_and_query = Some(value.try_into().ok()?),
            _ => {
                let name = HeaderName::from_lowercase(name).ok()?;
                if !HOP_BY_HOP.contains(&name.as_str()) {
                    let value = HeaderValue::from_bytes(value).ok()?;
                    request.headers_mut().append(name, value);
                }
            }
        }
    }
    if parts.authority.is_none() {
        parts.scheme = None;
    }
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(request)
}

fn run(input: &[u8]) -> u64 {
    let Some(request) = request(input) else {
        return outcome(0);
    };
    let (parts, ()) = request.into_parts();
    for ended in [true, false] {
        let text = request_text(&parts, ended);
        let mut slots = [MaybeUninit::uninit(); MAX_FIELDS];
        let head = match parse_request(&text, &mut slots, LIMITS) {
            Err(refusal) => return outcome((refusal.as_str(), 1)),
            Ok(None) => panic!("neither a whole head nor a refusal"),
            Ok(Some(head)) => head,
        };
        assert_eq!(
            head.bytes.len(),
            text.len(),
            "one head and nothing after it"
        );
        assert_eq!(head.method, parts.method.as_str());
        let path = parts.uri.path_and_query().map(|path| path.as_str());
        assert_eq!(Some(head.target), path);
        assert!(head.host.is_some());
        if let Some(authority) = parts.uri.authority() {
            assert_eq!(head.host, Some(authority.as_str()));
        }
        for host in parts.headers.get_all("host") {
            assert!(
                host.as_bytes()
                    .eq_ignore_ascii_case(head.host.unwrap_or_default().as_bytes())
            );
        }
        let counted = parts.headers.contains_key("content-length");
        assert_eq!(head.body == BodyLength::Chunked, !ended && !counted);
        let crumbs = parts.headers.get_all("cookie").iter().count();
        let cookies = head.fields.iter().filter(|field| field.name == "cookie");
        assert_eq!(cookies.count(), crumbs.min(1));
        for field in head.fields {
            let known = parts.headers.contains_key(field.name) || field.name == "host";
            let ours = field.name == "transfer-encoding";
            assert!(known || ours, "{}", field.name);
        }
    }
    outcome((2, parts.headers.len().min(8)))
}
