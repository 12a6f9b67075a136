use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::testing::{Rig, load};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A request that was with the kernel when the process began to end was answered by a reset: the connection
/// it came on counted as idle.
#[tokio::test]
async fn a_request_that_has_come_is_served_when_the_process_ends() {
    let config = load(
        "[logs]\naccess = \"off\"\n\
         [[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\n\
         fixed-response = { status = 200, content-type = \"text/plain\", body = \"hello\" }\n",
    );
    let test = async {
        let rig = Rig::start_here(&config).await;
        let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let mut first = Vec::new();
        while !first.ends_with(b"hello") {
            assert_ne!(client.read_buf(&mut first).await.unwrap(), 0);
        }
        // Both have happened before the worker, on this thread too, can look.
        client.try_write(REQUEST).unwrap();
        let mut second = String::new();
        let (ended, read) = tokio::join!(
            rig.finish(Duration::from_secs(20)),
            client.read_to_string(&mut second)
        );
        read.unwrap();
        let () = ended;
        assert!(second.starts_with("HTTP/1.1 200 OK\r\n"), "{second}");
        assert!(second.contains("Connection: close\r\n"), "{second}");
        assert!(second.ends_with("hello"), "{second}");
    };
    LocalSet::new().run_until(test).await;
}
