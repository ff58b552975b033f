//! Whom a container's processes run as: `docker run -u`, `docker exec -u` and Compose's `user:`, read as moby reads them.
//!
//! A specification is `USER[:GROUP]`, each a number or a name of the image's `/etc/passwd` and `/etc/group`. A number
//! that the file does not have is taken as it is, with group 0; a name that it does not have is refused. Only the files
//! of `busybox` and `alpine` are known here: a name that another image may well have is a user of number 1000, and the
//! container's files say so.

use super::error::DockerError;

/// `/etc/passwd` of every image.
pub const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
     daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
     bin:x:2:2:bin:/bin:/bin/false\n\
     sys:x:3:3:sys:/dev:/bin/false\n\
     mail:x:8:8:mail:/var/spool/mail:/bin/false\n\
     www-data:x:33:33:www-data:/var/www:/bin/false\n\
     nobody:x:65534:65534:nobody:/home:/bin/false\n";

/// `/etc/group` of every image.
pub const GROUP: &str =
    "root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nmail:x:8:\nwww-data:x:33:\nnobody:x:65534:\n";

/// The highest number that the engine takes.
const HIGHEST: i64 = 2_147_483_647;

/// The number of a user whose image's files are not known.
const UNKNOWN: u32 = 1_000;

/// A user by number, and by the names that the image's files are taken to have beside the known ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The user; 0 is root.
    pub id: u32,
    /// The group.
    pub group: u32,
    /// The user's name, if no file here has it.
    pub name: Option<String>,
}

/// Whom a specification means in an image. The error is the engine's.
pub fn resolve(specification: &str, image: &str) -> Result<User, DockerError> {
    let (user, group) = match specification.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (specification, None),
    };
    let image = image.rsplit('/').next().unwrap_or_default().split([':', '@']).next();
    let is_known = matches!(image, Some("busybox" | "alpine"));
    let in_range = |name: &str| name.parse::<i64>().ok().is_none_or(|id| (0..=HIGHEST).contains(&id));
    if !in_range(user) || !group.is_none_or(in_range) {
        return Err(DockerError::bad_parameter(format!("uids and gids must be in range 0-{HIGHEST}")));
    }
    let refused = |kind: &str, file: &str, name: &str| {
        DockerError::bad_parameter(format!(
            "unable to find {kind} {name}: no matching entries in {file} file"
        ))
    };
    let mut found = match (entry(PASSWD, user), user.parse::<u32>()) {
        _ if user.is_empty() => User::default(),
        (Some((id, group)), _) => User { id, group, name: None },
        (None, Ok(id)) => User { id, group: 0, name: None },
        (None, Err(_)) if is_known => return Err(refused("user", "passwd", user)),
        (None, Err(_)) => User { id: UNKNOWN, group: UNKNOWN, name: Some(user.to_owned()) },
    };
    if let Some(group) = group {
        found.group = match (entry(GROUP, group), group.parse::<u32>()) {
            (Some((id, _)), _) | (None, Ok(id)) => id,
            (None, Err(_)) if is_known => return Err(refused("group", "group", group)),
            (None, Err(_)) => UNKNOWN,
        };
    }
    Ok(found)
}

/// The two numbers behind a name, or behind a number, in a file of names, passwords and numbers.
fn entry(file: &str, wanted: &str) -> Option<(u32, u32)> {
    file.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_wanted = fields.first() == Some(&wanted) || fields.get(2) == Some(&wanted);
        let id = fields.get(2)?.parse().ok()?;
        is_wanted.then(|| (id, fields.get(3).and_then(|group| group.parse().ok()).unwrap_or(id)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_found_as_moby_finds_them() {
        let of = |specification, image| {
            let user = resolve(specification, image).unwrap();
            (user.id, user.group, user.name)
        };
        assert_eq!(of("", "alpine"), (0, 0, None));
        assert_eq!(of("1000", "alpine"), (1000, 0, None));
        assert_eq!(of("1000:2000", "alpine:3.20"), (1000, 2000, None));
        assert_eq!(of("nobody", "busybox"), (65_534, 65_534, None));
        assert_eq!(of("33", "busybox"), (33, 33, None));
        assert_eq!(of("33:mail", "busybox"), (33, 8, None));
        assert_eq!(of("node", "node:22"), (1000, 1000, Some("node".to_owned())));
        let refused = |specification| resolve(specification, "docker.io/library/alpine").unwrap_err().message;
        assert_eq!(refused("foo"), "unable to find user foo: no matching entries in passwd file");
        assert_eq!(refused("99999999999"), "uids and gids must be in range 0-2147483647");
        assert_eq!(refused("0:-1"), "uids and gids must be in range 0-2147483647");
        assert_eq!(refused("root:foo"), "unable to find group foo: no matching entries in group file");
    }
}
