//! Ends that come from both sides before the copy looks at either.

use std::future::poll_fn;
use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::metrics::PerWorker;

/// A flow between two connections, and their other ends.
struct Scene {
    client: TcpStream,
    server: TcpStream,
    ours: (Stream, Stream),
    copy: Copy,
    buffer: CopyBuffer,
    pipes: PipePool,
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
    (theirs.unwrap(), ours.unwrap().0)
}

impl Scene {
    async fn new() -> Self {
        let ((client, to_client), (server, to_server)) = (connection().await, connection().await);
        let mut scene = Self {
            client,
            server,
            ours: (to_client.into(), to_server.into()),
            copy: Copy::new(Vec::new(), Vec::new()),
            buffer: CopyBuffer::default(),
            pipes: PipePool::new(PerWorker::new(1), 0),
        };
        // A word across, so that both sockets wait to be read.
        scene.client.write_all(b"word").await.unwrap();
        scene.copy_until((4, 0)).await;
        scene
    }

    async fn copy_until(&mut self, bytes: (u64, u64)) {
        poll_fn(|cx| {
            assert!(self.poll(cx).is_pending());
            match self.copy.bytes() == bytes {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let room = Room {
            buffer: &self.buffer,
            pipes: &self.pipes,
        };
        let (client, target) = &mut self.ours;
        self.copy.poll(client, target, cx, room)
    }

    /// Copies to the end: how it ended, and what the client's and the server's ends have left to read.
    async fn end(mut self) -> (Result<(), Fault>, [(Vec<u8>, Option<ErrorKind>); 2]) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let (mut to_client, mut to_server) = self.ours;
        if end.is_err() {
            self.copy.reset(&mut to_client, &mut to_server);
        }
        drop((to_client, to_server));
        (end, [rest(self.client).await, rest(self.server).await])
    }
}

/// What there is to read, and the error it ends with.
async fn rest(mut stream: TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    (bytes, end.err().map(|error| error.kind()))
}

#[tokio::test]
async fn what_a_target_said_before_it_was_reset_reaches_a_client_that_still_speaks() {
    let mut scene = Scene::new().await;
    scene.server.write_all(b"answer").await.unwrap();
    // The word was not read: closing resets.
    scene.server = connection().await.0;
    scene.client.write_all(b"more").await.unwrap();
    let (end, [client, _]) = scene.end().await;
    assert_eq!(end, Err(Fault::Target));
    assert_eq!(
        client,
        (b"answer".to_vec(), Some(ErrorKind::ConnectionReset))
    );
}

#[tokio::test]
async fn a_target_that_had_ended_before_it_was_reset_ends_the_client_whole() {
    let mut scene = Scene::new().await;
    let mut word = [0; 4];
    scene.server.read_exact(&mut word).await.unwrap();
    scene.server.write_all(b"answer").await.unwrap();
    scene.server = connection().await.0;
    scene.client.write_all(b"more").await.unwrap();
    // One write is taken and answered with a reset, the next fails.
    poll_fn(|cx| scene.ours.1.poll_write(cx, b"extra", &[]))
        .await
        .unwrap();
    let (end, [client, _]) = scene.end().await;
    assert_eq!(end, Err(Fault::Target));
    assert_eq!(client, (b"answer".to_vec(), None));
}

#[tokio::test]
async fn what_a_client_said_before_it_was_reset_reaches_a_target_that_still_speaks() {
    let mut scene = Scene::new().await;
    scene.server.write_all(b"unread").await.unwrap();
    scene.copy_until((4, 6)).await;
    scene.client.write_all(b"last").await.unwrap();
    scene.client = connection().await.0;
    scene.server.write_all(b"more").await.unwrap();
    let (end, [_, server]) = scene.end().await;
    assert_eq!(end, Err(Fault::Client));
    assert_eq!(
        server,
        (b"wordlast".to_vec(), Some(ErrorKind::ConnectionReset))
    );
}
