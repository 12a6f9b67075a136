//! Users and groups of this machine by name, for the files of Unix sockets.
//!
//! Read from /etc/passwd and /etc/group when a socket is opened; a user of another source (LDAP) is
//! given by number.

use std::fs;
use std::path::Path;

use conf::UnixOwner;

/// Numbers of a user and a group; `None` leaves it as it is.
pub(super) type Ids = (Option<u32>, Option<u32>);

/// The numbers of an owner.
///
/// # Errors
/// The user or group that there is none of, for people.
pub(super) fn ids(owner: &UnixOwner) -> Result<Ids, String> {
    let find = |kind: &str, file: &str, name: &Option<String>| {
        let Some(name) = name else {
            return Ok(None);
        };
        let id = name.parse().ok().or_else(|| id_in(Path::new(file), name));
        id.map(Some)
            .ok_or_else(|| format!("there is no {kind} `{name}` in {file}"))
    };
    Ok((
        find("user", "/etc/passwd", &owner.user)?,
        find("group", "/etc/group", &owner.group)?,
    ))
}

/// The third field of the line that begins with the name: passwd(5), group(5).
fn id_in(file: &Path, name: &str) -> Option<u32> {
    let text = fs::read_to_string(file).ok()?;
    let line = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    };
    text.lines().find_map(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: Option<&str>, group: Option<&str>) -> Result<Ids, String> {
        ids(&UnixOwner {
            user: user.map(str::to_owned),
            group: group.map(str::to_owned),
        })
    }

    #[test]
    fn names_and_numbers_are_found() {
        assert_eq!(of(Some("root"), Some("root")), Ok((Some(0), Some(0))));
        assert_eq!(of(None, Some("1234")), Ok((None, Some(1234))));
        assert_eq!(of(None, None), Ok((None, None)));
        let missing = of(Some("nobody-of-this-name"), None).unwrap_err();
        assert!(missing.contains("no user `nobody-of-this-name`"));
    }
}
