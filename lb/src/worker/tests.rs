use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::testing::{Rig, app_config, load};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What comes before the end, and how that comes.
async fn read(stream: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut all = Vec::new();
    let end = stream.read_to_end(&mut all).await;
    (
        String::from_utf8(all).unwrap(),
        end.err().map(|error| error.kind()),
    )
}

/// A flow that was cut because the grace was over looked finished to both sides.
#[tokio::test]
async fn flows_that_outlast_the_grace_end_by_resets() {
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "", "")).await;
    let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
    let (mut server, _) = target.accept().await.unwrap();
    server.write_all(b"half").await.unwrap();
    let mut heard = [0; 4];
    client.read_exact(&mut heard).await.unwrap();
    rig.finish(Duration::ZERO).await;
    let reset = (String::new(), Some(ErrorKind::ConnectionReset));
    assert_eq!(read(&mut client).await, reset);
    assert_eq!(read(&mut server).await, reset);
}

/// A client whose request outlasted the grace was told nothing, and one whose response lasts until the end
/// took what it had got for all of it.
#[tokio::test]
async fn exchanges_that_outlast_the_grace_are_told_so() {
    for begins in [false, true] {
        let (target, address) = listen().await;
        let config = load(&format!(
            "[logs]\naccess = \"off\"\n\
             [[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\n\
             forward = \"app\"\n\
             [[target-group]]\nname = \"app\"\nprotocol = \"http\"\ntargets = [\"{address}\"]\n"
        ));
        let rig = Rig::start(1, &config).await;
        let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        assert_ne!(server.read(&mut [0; 1024]).await.unwrap(), 0);
        if begins {
            server
                .write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
                .await
                .unwrap();
            let mut some = Vec::new();
            while !some.ends_with(b"half") {
                assert_ne!(client.read_buf(&mut some).await.unwrap(), 0);
            }
        }
        rig.finish(Duration::ZERO).await;
        let (text, end) = read(&mut client).await;
        if begins {
            assert_eq!((&*text, end), ("", Some(ErrorKind::ConnectionReset)));
        } else {
            assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
            assert!(text.ends_with("(shutdown)\n") && end.is_none(), "{text}");
        }
    }
}
