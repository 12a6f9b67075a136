//! Requests over HTTP/2 that HTTP/1.1 could read in another way, and that no target sees.

use crate::balancer::{Balancer, Options};
use crate::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, FrameClient, GET, GOAWAY, HEADERS, PROTOCOL_ERROR,
    RST_STREAM, block,
};
use crate::target::Target;

/// `:status: 400` and `:status: 405` as the balancer writes them: by index, or a literal of name 8.
const BAD_REQUEST: &[u8] = &[0x8c];
const LITERAL_STATUS: &[u8] = &[0x48];

fn with(change: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    let mut fields: Vec<_> = GET
        .into_iter()
        .filter(|(name, _)| !change.iter().any(|(changed, _)| changed == name))
        .collect();
    let pseudo = |(name, value): &&(&str, &str)| name.starts_with(':') && *value != "-";
    fields.extend(change.iter().filter(pseudo));
    fields.extend(change.iter().filter(|(name, _)| !name.starts_with(':')));
    fields
}

/// What the balancer answers to a request on stream 1.
fn verdict(balancer: &Balancer, frames: &[Frame]) -> Frame {
    let mut client = FrameClient::connect(balancer.address);
    client.send_frames(frames);
    let of_request = |frame: &Frame| frame.kind == GOAWAY || (frame.stream == 1 && frame.kind != 8);
    client.await_frame(of_request).unwrap()
}

#[test]
fn what_is_malformed_is_a_stream_error() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    for fields in [
        with(&[("Upper", "case")]),
        with(&[("x y", "1")]),
        with(&[("x", "a\r\ny: b")]),
        with(&[("x", "a\nb")]),
        with(&[("x", "a\0b")]),
        with(&[("connection", "close")]),
        with(&[("keep-alive", "1")]),
        with(&[("proxy-connection", "close")]),
        with(&[("transfer-encoding", "chunked")]),
        with(&[("upgrade", "websocket")]),
        with(&[("te", "gzip")]),
        with(&[(":path", "")]),
        with(&[(":path", "/a\r\nb")]),
        with(&[(":path", "/a b")]),
        with(&[(":path", "-")]),
        with(&[(":scheme", "-")]),
        with(&[(":method", "-")]),
        with(&[(":method", "G ET")]),
        with(&[(":authority", "a\r\nb")]),
        with(&[(":status", "200")]),
        with(&[(":unknown", "1")]),
        with(&[("content-length", "5")]),
        with(&[("content-length", "-1")]),
        with(&[("x", "1"), ("", "2")]),
        [&GET[..], &[("x", "1"), (":path", "/b")]].concat(),
        [&GET[..], &[(":path", "/b")]].concat(),
    ] {
        let answer = verdict(&balancer, &[Frame::request(1, &fields)]);
        assert!(
            matches!(answer.kind, RST_STREAM | GOAWAY) && answer.code() != 0,
            "{fields:?}: {answer:?}"
        );
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn what_the_crate_lets_pass_the_codec_refuses() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let refused = [
        with(&[(":path", "http://other.example/")]),
        with(&[(":path", "a")]),
        with(&[(":path", "*")]),
        with(&[(":authority", "user@a.example")]),
        with(&[(":authority", "a.example:99999")]),
        with(&[("host", "b.example")]),
        with(&[("host", "a.example"), ("host", "a.example")]),
        with(&[(":authority", "-")]),
        with(&[(":authority", "-"), ("host", "a"), ("host", "b")]),
        with(&[("x", " blank")]),
        with(&[("x", "blank\t")]),
        with(&[("cookie", "a=1 ")]),
        with(&[("content-length", "0"), ("content-length", "0")]),
        with(&[("content_length", "0")]),
    ];
    let mut answered = 0;
    for fields in refused {
        let answer = verdict(&balancer, &[Frame::request(1, &fields)]);
        // Versions of the crate differ in what they find malformed.
        if answer.kind == RST_STREAM {
            continue;
        }
        answered += 1;
        assert!(
            answer.kind == HEADERS && answer.payload.starts_with(BAD_REQUEST),
            "{fields:?}: {answer:?}"
        );
    }
    for method in ["CONNECT", "TRACE"] {
        let mut fields = with(&[(":method", method)]);
        if method == "CONNECT" {
            fields.retain(|(name, _)| !matches!(*name, ":path" | ":scheme"));
        }
        let answer = verdict(&balancer, &[Frame::request(1, &fields)]);
        assert!(
            answer.kind == HEADERS && answer.payload.starts_with(LITERAL_STATUS),
            "{answer:?}"
        );
    }
    assert_eq!(target.connections(), 0);
    balancer.expect_metric(
        "pointsman_rejected_total",
        "bad-request",
        f64::from(answered) + 2.0,
    );
}

#[test]
fn bodies_that_are_not_as_long_as_said_are_stream_errors() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut fields = GET.to_vec();
    fields.push(("content-length", "5"));
    for body in ["four", "sixsix"] {
        let frames = [
            Frame::new(HEADERS, END_HEADERS, 1, block(&fields)),
            Frame::new(DATA, END_STREAM, 1, body),
        ];
        let answer = verdict(&balancer, &frames);
        assert_eq!((answer.kind, answer.code()), (RST_STREAM, PROTOCOL_ERROR));
    }
    // Trailers that would frame are refused with the whole request.
    for trailer in ["host", "transfer-encoding", "content-length"] {
        let frames = [
            Frame::new(HEADERS, END_HEADERS, 1, block(&GET)),
            Frame::new(DATA, 0, 1, "body"),
            Frame::request(1, &[(trailer, "1")]),
        ];
        let answer = verdict(&balancer, &frames);
        let refused = match answer.kind {
            HEADERS => answer.payload.starts_with(BAD_REQUEST),
            kind => kind == RST_STREAM,
        };
        assert!(refused, "{trailer}: {answer:?}");
    }
    assert!(target.seen.try_recv().is_err());
}

#[test]
fn the_preface_counts_only_at_the_start_and_where_it_is_wanted() {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let mut client = balancer.connect();
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_until("X-Forwarded-Port");
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(client.read_to_end().contains("unsupported-version"));
    let options = Options {
        listener: "http2 = false",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let text = balancer.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(text.contains("unsupported-version"), "{text}");
    assert!(
        balancer
            .ask("PRI / HTTP/2.1\r\n\r\n")
            .contains("unsupported-version")
    );
}
