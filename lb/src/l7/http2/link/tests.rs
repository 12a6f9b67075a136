use std::future::poll_fn;
use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::*;
use crate::stream::Side;

/// Longer than it takes when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings, and their acknowledgement.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\0\x04\x01\0\0\0\0";

/// HEADERS with `:status: 200` on the first stream, then DATA that ends it.
const ANSWER: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x05\0\x01\0\0\0\x01whole";

async fn write(stream: &mut TargetStream, bytes: &[u8]) {
    let written = poll_fn(|cx| stream.poll_write(cx, bytes, &[])).await;
    assert_eq!(written.unwrap(), bytes.len());
}

async fn read_all(stream: &mut TargetStream) -> String {
    let (mut all, mut room) = (Vec::new(), [0; 1024]);
    loop {
        let read = poll_fn(|cx| stream.poll_read(cx, &mut room));
        let count = timeout(PATIENCE, read).await.unwrap().unwrap();
        if count == 0 {
            return String::from_utf8(all).unwrap();
        }
        all.extend_from_slice(&room[..count]);
    }
}

/// A stream whose request waits for the rest of its body, the target's end, and another hold on ours.
async fn begun() -> (Link, TargetStream, TcpStream, socket2::Socket) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ours = TcpStream::connect(address).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    let hold = SockRef::from(&ours).try_clone().unwrap();
    let link = Link::begin(Stream::from(ours), None).await.unwrap();
    let mut stream = link.stream().unwrap();
    write(
        &mut stream,
        b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\n\r\n",
    )
    .await;
    write(&mut stream, b"ab").await;
    theirs.write_all(SETTINGS).await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"ab") {
        assert_ne!(theirs.read_buf(&mut seen).await.unwrap(), 0);
    }
    (link, stream, theirs, hold)
}

/// A failed write ended the connection, and with it the answers that the target had given before it closed.
#[tokio::test]
async fn answers_are_read_though_nothing_can_be_written_any_more() {
    let test = async {
        let (mut link, mut stream, mut theirs, hold) = begun().await;
        hold.shutdown(Shutdown::Write).unwrap();
        write(&mut stream, b"c").await;
        while link.is_open() {
            tokio::task::yield_now().await;
        }
        theirs.write_all(ANSWER).await.unwrap();
        let text = read_all(&mut stream).await;
        assert!(text.ends_with("\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"), "{text}");
    };
    LocalSet::new().run_until(test).await;
}

/// An answer without a length, whole but for the request, was taken for a cut one when the connection died in
/// the same wake-up.
#[tokio::test]
async fn an_answer_is_whole_though_its_connection_dies_with_it() {
    let test = async {
        for (answer, is_whole) in [(ANSWER, true), (&ANSWER[..ANSWER.len() - 1], false)] {
            let (mut link, mut stream, mut theirs, _hold) = begun().await;
            theirs.write_all(answer).await.unwrap();
            drop(theirs);
            while link.is_open() {
                tokio::task::yield_now().await;
            }
            if is_whole {
                let text = read_all(&mut stream).await;
                assert!(text.ends_with("\r\n\r\n5\r\nwhole\r\n0\r\n\r\n"), "{text}");
                continue;
            }
            let mut room = [0; 1024];
            while let Ok(count) = poll_fn(|cx| stream.poll_read(cx, &mut room)).await {
                assert_ne!(count, 0, "it looks whole");
            }
        }
    };
    LocalSet::new().run_until(test).await;
}
