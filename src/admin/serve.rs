//! The admin sockets: bound before anything is served, accepted on the control thread.
//!
//! TCP on loopback and a unix socket of mode 0600. A socket file that a dead process left is
//! replaced; one that somebody answers on is not. Connections are bounded, heads have a deadline.

use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::fs::Mode;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::spawn_local;

use super::guard::Door;
use super::state::{Addresses, Shared};

/// Open connections of each socket; a page, a scraper and some scripts need few.
const MAX_CONNECTIONS: usize = 128;
/// A request head must be complete by then.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause when accepting fails, as it does when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound admin sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    tcp: TcpListener,
    unix: Option<(UnixListener, SocketFile)>,
}

/// A socket file, removed with its socket.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process can have taken its place only when it was removed already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Sockets {
    /// Binds both. A unix socket that cannot be made is a warning, since TCP serves as well,
    /// unless another process answers on it: then two would share one state folder.
    ///
    /// # Errors
    /// The TCP address cannot be bound, or the unix socket is in use.
    pub(crate) async fn bind(admin: &conf::Admin) -> Result<Self> {
        let tcp = TcpListener::bind(admin.bind.value).await?;
        let unix = match bind_unix(&admin.socket) {
            Ok(listener) => Some((listener, SocketFile(admin.socket.clone()))),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            Err(error) => {
                let path = admin.socket.display();
                tracing::warn!("no admin socket at {path}: {error}; the TCP address serves alone");
                None
            }
        };
        Ok(Self { tcp, unix })
    }

    /// Where they listen, with real ports and the whole path.
    ///
    /// # Errors
    /// The kernel does not tell the local address.
    pub(crate) fn addresses(&self) -> Result<Addresses> {
        Ok(Addresses {
            tcp: self.tcp.local_addr()?,
            socket: self.unix.as_ref().map(|(_, file)| absolute(&file.0)),
        })
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Binds the unix socket with mode 0600, its folder made when missing.
fn bind_unix(path: &Path) -> Result<UnixListener> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    remove_stale(path)?;
    // The mode is set by the mask, not after the bind, so that there is no moment at which others
    // can connect. Only this thread makes files now: no plane has started.
    let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = UnixListener::bind(path);
    rustix::process::umask(mask);
    bound
}

/// Removes a socket file that nobody listens on. Anything else in its place stays.
fn remove_stale(path: &Path) -> Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "something that is not a socket has that name",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            ErrorKind::AddrInUse,
            format!("another pointsman answers on {}", path.display()),
        )),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Accepts on both sockets until the future is dropped.
pub(crate) async fn serve(sockets: Sockets, admin: Shared) {
    let tcp = accept_tcp(sockets.tcp, super::router(admin.clone(), Door::Tcp));
    match sockets.unix {
        Some((listener, file)) => {
            let unix = accept_unix(listener, super::router(admin, Door::Unix));
            tokio::join!(tcp, unix);
            drop(file);
        }
        None => tcp.await,
    }
}

async fn accept_tcp(listener: TcpListener, router: Router) {
    let places = Rc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        admit(accepted, &places, &router).await;
    }
}

async fn accept_unix(listener: UnixListener, router: Router) {
    let places = Rc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        admit(accepted, &places, &router).await;
    }
}

/// Serves one connection in a task of its own; closes it at once when there are too many.
async fn admit<S>(accepted: Result<S>, places: &Rc<Semaphore>, router: &Router)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let stream = match accepted {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!("admin: cannot accept: {error}");
            return tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    };
    if places.available_permits() == 0 {
        return;
    }
    let places = places.clone();
    let service = TowerToHyperService::new(router.clone());
    spawn_local(async move {
        let Ok(_place) = places.try_acquire() else {
            return;
        };
        // A client that went away or spoke nonsense is its own affair.
        let _ = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_or_foreign_file_is_not() {
        let folder = std::env::temp_dir().join(format!("pointsman-serve-{}", std::process::id()));
        let path = folder.join("deep/admin.sock");
        let first = bind_unix(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(bind_unix(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(first);
        drop(bind_unix(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(
            bind_unix(&path).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
