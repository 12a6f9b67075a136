//! Listening Unix sockets: bound under another name, made visible by one rename, removed with the
//! listener.
//!
//! Called by the opening of binds. A prepared configuration that is dropped leaves nothing behind, and
//! a socket file that an earlier process left is replaced in one step. Never takes a path that
//! somebody listens at, and never removes a file that is not its own.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use conf::{UnixBinds, UnixName};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use socket2::{Domain, SockAddr, Socket, Type};

use super::holder::{Holder, name_of};
use super::owner;

/// Why a socket cannot be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// Somebody listens there; who, if it can be told.
    Taken(Option<Holder>),
    /// Something else than a socket is there.
    NoSocket,
    /// The folder is not there.
    NoFolder(PathBuf),
    /// There is no such user or group.
    NoOwner(String),
    /// The system does not let this process give files away.
    NotGiven(io::Error),
    /// The system's word.
    System(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

/// The file of a bound socket; goes with it.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode: by then the path may be somebody else's.
    identity: (u64, u64),
}

impl SocketFile {
    /// Changes who may connect.
    pub(crate) fn permit(&self, binds: &UnixBinds) {
        if let Err(fault) = self.give(binds) {
            let path = self.path.display();
            tracing::warn!(%path, ?fault, "who may connect to a socket cannot be changed");
        }
    }

    fn give(&self, binds: &UnixBinds) -> Result<(), Fault> {
        let (user, group) = owner::ids(&binds.owner).map_err(Fault::NoOwner)?;
        // The owner first: nobody else is let in before.
        if user.is_some() || group.is_some() {
            chown(&self.path, user, group).map_err(Fault::NotGiven)?;
        }
        fs::set_permissions(&self.path, fs::Permissions::from_mode(binds.mode))?;
        Ok(())
    }

    /// Puts it where clients look for it.
    pub(super) fn publish(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        path.clone_into(&mut self.path);
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // Gone meanwhile is as good.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// A bound socket that does not listen yet, and its file where it has one.
pub(super) fn bind(
    name: UnixName,
    binds: &UnixBinds,
) -> Result<(Socket, Option<SocketFile>), Fault> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let Some(path) = name.path() else {
        let address = SockAddr::unix(format!("\0{}", name.abstract_name().unwrap_or_default()))?;
        return match socket.bind(&address) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ADDRINUSE) => {
                Err(Fault::Taken(listening(&address)?))
            }
            bound => Ok(bound.map(|()| (socket, None))?),
        };
    };
    check(path)?;
    let hidden = hidden(path);
    socket.bind(&SockAddr::unix(&hidden)?)?;
    let file = SocketFile {
        identity: identity(&hidden)?,
        path: hidden,
    };
    file.give(binds)?;
    Ok((socket, Some(file)))
}

/// Looks at what is at the path now: nothing, or a socket that nobody listens on any more.
fn check(path: &Path) -> Result<(), Fault> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            return match folder.is_dir() {
                true => Ok(()),
                false => Err(Fault::NoFolder(folder.to_owned())),
            };
        }
        Err(error) => return Err(error.into()),
    };
    if !found.file_type().is_socket() {
        return Err(Fault::NoSocket);
    }
    let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match client.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err(Fault::Taken(holder(&client))),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::CONNREFUSED | Errno::NOENT) => Ok(()),
            // Its queue is full.
            Some(Errno::AGAIN) => Err(Fault::Taken(None)),
            _ => Err(error.into()),
        },
    }
}

fn listening(address: &SockAddr) -> io::Result<Option<Holder>> {
    let client = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    let connected = client.connect(address);
    Ok(connected.ok().and_then(|()| holder(&client)))
}

/// Who made the socket at the other end listen.
fn holder(client: &Socket) -> Option<Holder> {
    let pid = socket_peercred(client).ok()?.pid;
    let pid = u32::try_from(pid.as_raw_nonzero().get()).ok()?;
    Some(Holder {
        pid,
        name: name_of(pid),
    })
}

/// A name in the same folder that nobody looks for: renaming works within a file system only.
fn hidden(path: &Path) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!(".pm-{}-{number}", std::process::id());
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn with(mode: u32) -> UnixBinds {
        UnixBinds {
            mode,
            ..UnixBinds::default()
        }
    }

    /// A folder of the test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let own = format!("pointsman-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(own);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn name(&self) -> UnixName {
            UnixName::new(self.path().to_str().unwrap()).unwrap()
        }

        fn path(&self) -> PathBuf {
            self.0.join("app.sock")
        }

        fn files(&self) -> usize {
            fs::read_dir(&self.0).unwrap().count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn nothing_is_seen_before_it_is_published_and_nothing_stays_after() {
        let folder = Folder::new("published");
        let (socket, file) = bind(folder.name(), &with(0o640)).unwrap();
        assert!(!folder.path().exists());
        drop(file);
        assert_eq!(folder.files(), 0);
        drop(socket);
        let (socket, file) = bind(folder.name(), &with(0o640)).unwrap();
        let mut file = file.unwrap();
        socket.listen(1).unwrap();
        file.publish(&folder.path()).unwrap();
        let mode = || fs::metadata(folder.path()).unwrap().permissions().mode();
        assert_eq!(mode() & 0o777, 0o640);
        file.permit(&with(0o600));
        assert_eq!(mode() & 0o777, 0o600);
        UnixStream::connect(folder.path()).unwrap();
        drop(file);
        assert_eq!(folder.files(), 0);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_told_with_its_holder() {
        let folder = Folder::new("stale");
        let living = UnixListener::bind(folder.path()).unwrap();
        let Err(Fault::Taken(Some(holder))) = bind(folder.name(), &with(0o600)) else {
            panic!("a socket that somebody listens at was taken");
        };
        assert_eq!(holder.pid, std::process::id());
        drop(living);
        let (socket, file) = bind(folder.name(), &with(0o600)).unwrap();
        let mut file = file.unwrap();
        socket.listen(1).unwrap();
        file.publish(&folder.path()).unwrap();
        UnixStream::connect(folder.path()).unwrap();
        // Another's by now: it stays.
        fs::remove_file(folder.path()).unwrap();
        let _other = UnixListener::bind(folder.path()).unwrap();
        drop(file);
        assert!(folder.path().exists());
    }

    #[test]
    fn files_and_missing_folders_are_told() {
        let folder = Folder::new("files");
        fs::write(folder.path(), "precious").unwrap();
        assert!(matches!(
            bind(folder.name(), &with(0o600)),
            Err(Fault::NoSocket)
        ));
        assert_eq!(fs::read(folder.path()).unwrap(), b"precious");
        let path = folder.0.join("none").join("app.sock");
        let nowhere = UnixName::new(path.to_str().unwrap()).unwrap();
        assert!(matches!(
            bind(nowhere, &with(0o600)),
            Err(Fault::NoFolder(_))
        ));
    }

    #[test]
    fn an_abstract_name_is_one_sockets() {
        let text = format!("@pointsman-abstract-{}", std::process::id());
        let name = UnixName::new(&text).unwrap();
        let (socket, file) = bind(name, &with(0o600)).unwrap();
        assert!(file.is_none());
        assert!(matches!(bind(name, &with(0o600)), Err(Fault::Taken(None))));
        socket.listen(1).unwrap();
        assert!(matches!(
            bind(name, &with(0o600)),
            Err(Fault::Taken(Some(_)))
        ));
    }
}
