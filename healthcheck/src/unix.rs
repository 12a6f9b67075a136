//! Connecting to a Unix socket; probes do it here, and `lb` for traffic.
//!
//! What comes out is a `TcpStream`: reading, writing, shutting down and waiting are the same calls on
//! either kind of socket, so everything behind this place knows one stream only. What is TCP's alone
//! (addresses, `TCP_NODELAY`, `TCP_INFO`, resets) is refused by the kernel or has no effect, and
//! nobody may rely on it. Never follows a name: it is connected as written.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use conf::UnixName;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::TcpStream;

/// The first pause before a full socket is tried again, and the longest: short against a request,
/// long against what accepting takes.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(32));

/// A stream to whoever listens at `name`. A listener whose queue is full is waited for, as the
/// kernel does for blocking sockets; the caller says how long.
///
/// # Errors
/// As connect(2): nobody listens, no such file, no permission to write to it.
pub async fn connect_unix(name: UnixName) -> io::Result<TcpStream> {
    let address = match name.abstract_name() {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(name.as_str())?,
    };
    let mut pause = PAUSES.0;
    loop {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return stream_of(socket),
            // Nothing tells when there is room again (unix(7)).
            Err(Errno::AGAIN) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The stream of a connected Unix socket that does not block.
///
/// # Errors
/// When the runtime cannot watch it.
pub fn stream_of(socket: OwnedFd) -> io::Result<TcpStream> {
    TcpStream::from_std(std::net::TcpStream::from(socket))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;

    fn name(text: &str) -> UnixName {
        UnixName::new(text).unwrap()
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_ends_are_seen() {
        let folder = std::env::temp_dir().join(format!("pointsman-unix-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("echo.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
        };
        let ask = async {
            let mut stream = connect_unix(name(path.to_str().unwrap())).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"hello");
        };
        tokio::join!(serve, ask);
        drop(listener);
        let refused = connect_unix(name(path.to_str().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        std::fs::remove_dir_all(folder).unwrap();
        let missing = connect_unix(name(path.to_str().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    /// Linux lets one more wait than the backlog says.
    #[tokio::test(start_paused = true)]
    async fn a_full_queue_is_waited_for() {
        let text = format!("@pointsman-full-{}", std::process::id());
        let address = name(&text).socket_addr().unwrap();
        let listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        rustix::net::listen(&listener, 1).unwrap();
        let first = connect_unix(name(&text)).await.unwrap();
        let second = connect_unix(name(&text)).await.unwrap();
        let third = tokio::time::timeout(Duration::from_secs(5), connect_unix(name(&text)));
        assert!(third.await.is_err());
        let accept = async {
            // One that waits already, so that there is room for the third.
            tokio::time::sleep(PAUSES.1 * 4).await;
            listener.accept().unwrap()
        };
        let (third, accepted) = tokio::join!(connect_unix(name(&text)), accept);
        drop((first, second, third.unwrap(), accepted));
    }
}
