//! Every way a service can misbehave, against every protocol for which it makes sense: what the
//! probe finds, and what it says. Scripted services; the specific files beside this one have more.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use healthcheck::TargetState::{Healthy, Unhealthy};
use http::{HeaderMap, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::spawn_local;
use tokio_rustls::TlsAcceptor;

use crate::harness::{listener, locally, probed_late, request, service};
use crate::tls::{Authority, acceptor};

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Nobody listens.
    Refuses,
    /// Accepts, then resets.
    Resets,
    /// Accepts, then closes.
    Closes,
    /// Accepts, and says nothing.
    SaysNothing,
    /// Sends what belongs to no protocol.
    SendsGarbage,
    /// Answers well, long after the timeout.
    IsLate,
    /// Answers with 302.
    Redirects,
    /// Answers with a mebibyte of header fields.
    SendsMuchHead,
    /// Answers well, with a body that does not end.
    SendsNoEnd,
    /// Shows a certificate for another name.
    IsAnother,
    /// Speaks TLS, and HTTP/1.1 on it.
    IsOld,
    /// Answers with gRPC status 12.
    IsUnimplemented,
}

use Does::{
    Closes, IsAnother, IsLate, IsOld, IsUnimplemented, Redirects, Refuses, Resets, SaysNothing,
    SendsGarbage, SendsMuchHead, SendsNoEnd,
};

/// What a service speaks, when it says something sensible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Http1,
    Http2,
}

/// A header field of 256 bytes: the head is too long before it has too many of them.
const LONG_FIELD: &[u8; 256] = &{
    let mut field = [b'x'; 256];
    field[1] = b':';
    field[254] = b'\r';
    field[255] = b'\n';
    field
};

/// A probe's line in the table: its protocol, what the service does, what is seen; and whether the
/// target is healthy then.
type Row = (&'static str, Does, &'static str, bool);

const CUT: &str = "connection closed before the answer was complete";
const REFUSED: &str = "connection refused";
const RESET: &str = "connection reset";
const LATE: &str = "no response within 250ms";
const NO_TLS: &str = "no TLS within 250ms";
const TLS_RESET: &str = "TLS: connection reset";
const TLS_CLOSED: &str = "TLS: the target closed the connection during the handshake";
const NOT_TLS: &str = "TLS: the target does not speak TLS on this port";
const WRONG: &str = "TLS: the certificate is for other.test, not for app.test: set `server-name`";
const NOT_HTTP: &str = "malformed response: invalid HTTP version";
const NOT_HTTP2: &str = "HTTP/2: connection error detected: frame with invalid size";
const MUCH_HEAD: &str = "response head over 16 KiB";
const MUCH_HEAD_2: &str = "HTTP/2: a head over 16 KiB, or one that cannot be decoded";
const NO_STRING: &str = "HTTP/1.1 200 OK, without the search string in the first 5120 bytes";
const NO_STRING_2: &str = "HTTP/2 200 OK, without the search string in the first 5120 bytes";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("tcp", Refuses, REFUSED, false),
    ("tcp", Resets, "connected", true),
    ("tcp", SaysNothing, "connected", true),
    ("tcp", SendsGarbage, "connected", true),

    ("tcp receive", Resets, RESET, false),
    ("tcp receive", Closes, CUT, false),
    ("tcp receive", SaysNothing, "no answer within 250ms", false),
    ("tcp receive", SendsGarbage, "another answer: ", false),
    ("tcp receive", SendsNoEnd, "answered: HTTP/1.1 200 OK", true),

    ("tls", Refuses, REFUSED, false),
    ("tls", Resets, TLS_RESET, false),
    ("tls", Closes, TLS_CLOSED, false),
    ("tls", SaysNothing, NO_TLS, false),
    ("tls", SendsGarbage, NOT_TLS, false),
    ("tls", IsAnother, WRONG, false),

    ("http", Refuses, REFUSED, false),
    ("http", Resets, RESET, false),
    ("http", Closes, CUT, false),
    ("http", SaysNothing, LATE, false),
    ("http", SendsGarbage, NOT_HTTP, false),
    ("http", IsLate, LATE, false),
    ("http", Redirects, "HTTP/1.1 302 Found", false),
    ("http", SendsMuchHead, MUCH_HEAD, false),
    ("http", SendsNoEnd, NO_STRING, false),

    ("https", Refuses, REFUSED, false),
    ("https", Resets, TLS_RESET, false),
    ("https", Closes, TLS_CLOSED, false),
    ("https", SaysNothing, NO_TLS, false),
    ("https", SendsGarbage, NOT_TLS, false),
    ("https", IsAnother, WRONG, false),
    ("https", IsLate, LATE, false),
    ("https", Redirects, "HTTP/1.1 302 Found", false),
    ("https", SendsMuchHead, MUCH_HEAD, false),
    ("https", SendsNoEnd, NO_STRING, false),

    ("h2c", Refuses, REFUSED, false),
    ("h2c", Resets, RESET, false),
    ("h2c", Closes, CUT, false),
    ("h2c", SaysNothing, LATE, false),
    ("h2c", SendsGarbage, NOT_HTTP2, false),
    ("h2c", IsLate, LATE, false),
    ("h2c", Redirects, "HTTP/2 302 Found", false),
    ("h2c", SendsMuchHead, MUCH_HEAD_2, false),
    ("h2c", SendsNoEnd, NO_STRING_2, false),

    ("h2", Refuses, REFUSED, false),
    ("h2", Resets, TLS_RESET, false),
    ("h2", Closes, TLS_CLOSED, false),
    ("h2", SaysNothing, NO_TLS, false),
    ("h2", SendsGarbage, NOT_TLS, false),
    ("h2", IsAnother, WRONG, false),
    ("h2", IsOld, "TLS: the target did not agree on HTTP/2 (ALPN h2)", false),
    ("h2", IsLate, LATE, false),
    ("h2", Redirects, "HTTP/2 302 Found", false),
    ("h2", SendsMuchHead, MUCH_HEAD_2, false),
    ("h2", SendsNoEnd, NO_STRING_2, false),

    ("grpc", Refuses, REFUSED, false),
    ("grpc", Resets, RESET, false),
    ("grpc", Closes, CUT, false),
    ("grpc", SaysNothing, "no gRPC status within 250ms", false),
    ("grpc", SendsGarbage, NOT_HTTP2, false),
    ("grpc", IsLate, "no gRPC status within 250ms", false),
    ("grpc", IsUnimplemented, "grpc-status 12 (UNIMPLEMENTED)", false),
    ("grpc", Redirects, "HTTP status 302 Found, not gRPC", false),
    ("grpc", SendsMuchHead, MUCH_HEAD_2, false),
    ("grpc", SendsNoEnd, "an answer over 16 KiB", false),

    ("udp", Refuses, "port unreachable", false),
    ("udp", SaysNothing, "no answer within 250ms", false),
    ("udp", SendsGarbage, "another answer: ", false),

    ("agent", Refuses, REFUSED, false),
    ("agent", Resets, RESET, false),
    ("agent", Closes, "an empty line", false),
    ("agent", SaysNothing, "no line within 250ms", false),
    ("agent", SendsGarbage, "a line over 1 KiB", false),
    ("agent", Redirects, "not an agent's line: HTTP/1.1 302 Found", false),
];

#[tokio::test]
async fn misbehaving_services_are_told_apart() {
    let authority = Authority::new("ours");
    let mut wrong = Vec::new();
    locally(async {
        for &(protocol, does, seen, healthy) in TABLE {
            let target = async || serve(protocol, does, &authority).await;
            let check = check(protocol, &authority);
            let (found, seen) = probed_late(&check, seen, target).await;
            let last = &found.observations[0];
            let state = if healthy { Healthy } else { Unhealthy };
            if found.state != state || !last.seen.starts_with(&seen) || last.took_ms > 40_000.0 {
                wrong.push(format!("{protocol} {does:?}: {:?} {last:?}", found.state));
            }
        }
    })
    .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The check of a protocol; each can time out, and looks into what it gets as far as it can.
fn check(protocol: &str, authority: &Authority) -> String {
    let base = format!("protocol = \"{protocol}\"\ntimeout = \"250ms\"");
    let verified = format!("{}\ntimeout = \"250ms\"", authority.check(protocol));
    let named = format!("{verified}\nserver-name = \"app.test\"");
    let search = "search-string = \"never\"";
    match protocol {
        "tcp receive" => {
            let base = base.replace(" receive", "");
            format!("{base}\nsend = \"hello\\r\\n\\r\\n\"\nreceive = \"HTTP/1.1 2\"")
        }
        "tls" => named,
        "http" | "h2c" => format!("{base}\n{search}"),
        "https" | "h2" => format!("{named}\n{search}"),
        "udp" => format!("{base}\nsend = \"ping\"\nreceive = \"pong\""),
        _ => base,
    }
}

async fn serve(protocol: &str, does: Does, authority: &Authority) -> SocketAddr {
    if protocol == "udp" {
        return datagrams(does).await;
    }
    if does == Refuses {
        return listener().1;
    }
    let tls = matches!(protocol, "tls" | "https" | "h2").then(|| {
        let name = if does == IsAnother {
            "other.test"
        } else {
            "app.test"
        };
        let alpn = if does == IsOld { "" } else { "h2" };
        acceptor(authority.sign(&[name], |_| ()), alpn)
    });
    let speaks = match protocol {
        "h2" | "h2c" | "grpc" => Speaks::Http2,
        _ => Speaks::Http1,
    };
    service(move |stream| {
        let tls = tls.clone();
        async move { connection(stream, does, speaks, tls).await }
    })
}

async fn datagrams(does: Does) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    if does != Refuses {
        spawn_local(async move {
            let mut datagram = [0; 64];
            while let Ok((_, peer)) = socket.recv_from(&mut datagram).await {
                if does == SendsGarbage {
                    socket.send_to(&[7; 64], peer).await.unwrap();
                }
            }
        });
    }
    address
}

async fn connection(mut stream: TcpStream, does: Does, speaks: Speaks, tls: Option<TlsAcceptor>) {
    match does {
        Resets => {
            // After the probe has spoken, if it does: a reset before might pass as a refusal.
            let mut byte = [0; 1];
            let heard = stream.read(&mut byte);
            let _silent = tokio::time::timeout(Duration::from_millis(50), heard).await;
            stream.set_zero_linger().unwrap();
        }
        Closes => {
            // Reads all that is sent: closing with bytes unread would reset the connection.
            stream.shutdown().await.unwrap();
            while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
        }
        SaysNothing => std::future::pending().await,
        SendsGarbage => {
            let _gone = stream.write_all(&[7; 4096]).await;
            let _gone = stream.read(&mut [0; 4096]).await;
            std::future::pending().await
        }
        _ => match tls {
            None => speak(stream, does, speaks).await,
            Some(tls) => {
                // A probe that does not believe the certificate goes away.
                if let Ok(stream) = tls.accept(stream).await {
                    speak(stream, does, speaks).await;
                }
            }
        },
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin>(stream: S, does: Does, speaks: Speaks) {
    match speaks {
        Speaks::Http1 => http1(stream, does).await,
        Speaks::Http2 => http2(stream, does).await,
    }
}

async fn http1<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, does: Does) {
    let head: &[u8] = match does {
        Redirects => b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        SendsMuchHead => b"HTTP/1.1 200 OK\r\n",
        _ => b"HTTP/1.1 200 OK\r\n\r\n",
    };
    let piece: &[u8] = match does {
        SendsMuchHead => LONG_FIELD,
        SendsNoEnd => &[b'x'; 4096],
        _ => b"",
    };
    // An agent probe asks nothing: it waits for the answer all the same.
    let _asked = tokio::time::timeout(Duration::from_millis(50), request(&mut stream)).await;
    if does == IsLate {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let mut sent = stream.write_all(head).await;
    let mut left = if does == SendsMuchHead {
        1 << 20
    } else {
        usize::MAX
    };
    while sent.is_ok() && !piece.is_empty() && left > 0 {
        sent = stream.write_all(piece).await;
        left = left.saturating_sub(piece.len());
    }
    let _flushed = stream.flush().await;
    let _gone = stream.read(&mut [0; 16]).await;
}

async fn http2<S: AsyncRead + AsyncWrite + Unpin>(stream: S, does: Does) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, respond))) = connection.accept().await {
        spawn_local(answer(respond, does));
    }
}

async fn answer(mut respond: h2::server::SendResponse<Bytes>, does: Does) {
    if does == IsLate {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let status = if does == Redirects { 302 } else { 200 };
    let mut head = Response::builder().status(status);
    if does == SendsMuchHead {
        for number in 0..64 {
            let value = HeaderValue::from_bytes(&[b'x'; 16 * 1024]).unwrap();
            head = head.header(format!("x-{number}"), value);
        }
    }
    let head = head.body(()).unwrap();
    let ends = matches!(does, Redirects | SendsMuchHead);
    // The probe may have gone at any of these.
    let Ok(mut body) = respond.send_response(head, ends) else {
        return;
    };
    if does == IsUnimplemented {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("12"));
        let _gone = body.send_trailers(trailers);
        return;
    }
    if ends {
        return;
    }
    loop {
        body.reserve_capacity(4096);
        let room = std::future::poll_fn(|context| body.poll_capacity(context)).await;
        let Some(Ok(room)) = room else { return };
        let piece = Bytes::from(vec![b'x'; room.min(4096)]);
        if body.send_data(piece, false).is_err() {
            return;
        }
    }
}
