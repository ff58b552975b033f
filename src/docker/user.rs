//! Whom a container's processes run as: `docker run -u`, `docker exec -u` and Compose's `user:`, read as moby reads them.
//!
//! A specification is `USER[:GROUP]`, each a number or a name of the image's `/etc/passwd` and `/etc/group`. A number
//! that the file does not have is taken as it is, with group 0; a name that it does not have is refused. The files are
//! those of the system an image is made from, as far as its name tells. `busybox`, `alpine` and `debian` have nothing
//! else: a name that another image may well have is a user of number 1000, or of the number of the group of that
//! name, and the container's files say so.

use super::error::DockerError;

/// The system an image is made from, whose files it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// busybox.
    BusyBox,
    /// Alpine, and what is made from it.
    Alpine,
    /// Debian, and what is made from it: most images.
    Debian,
}

impl System {
    /// That of an image, by its name and tag.
    pub fn of(image: &str) -> System {
        let last = image.rsplit('/').next().unwrap_or_default();
        match last.split([':', '@']).next() {
            Some("busybox") => System::BusyBox,
            _ if last.contains("alpine") => System::Alpine,
            _ => System::Debian,
        }
    }

    /// `/etc/passwd`.
    pub const fn passwd(self) -> &'static str {
        match self {
            System::BusyBox => BUSYBOX_PASSWD,
            System::Alpine => ALPINE_PASSWD,
            System::Debian => DEBIAN_PASSWD,
        }
    }

    /// `/etc/group`.
    pub const fn group(self) -> &'static str {
        match self {
            System::BusyBox => BUSYBOX_GROUP,
            System::Alpine => ALPINE_GROUP,
            System::Debian => DEBIAN_GROUP,
        }
    }
}

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
    let system = System::of(image);
    let (passwd, groups) = (system.passwd(), system.group());
    let image = image.rsplit('/').next().unwrap_or_default().split([':', '@']).next();
    let is_known = matches!(image, Some("busybox" | "alpine" | "debian"));
    let in_range = |name: &str| name.parse::<i64>().ok().is_none_or(|id| (0..=HIGHEST).contains(&id));
    if !in_range(user) || !group.is_none_or(in_range) {
        return Err(DockerError::bad_parameter(format!("uids and gids must be in range 0-{HIGHEST}")));
    }
    let refused = |kind: &str, file: &str, name: &str| {
        DockerError::bad_parameter(format!(
            "unable to find {kind} {name}: no matching entries in {file} file"
        ))
    };
    let mut found = match user {
        // Most containers: nothing is looked up for them.
        "" => User::default(),
        _ => match (entry(passwd, user), user.parse::<u32>()) {
            (Some((id, group)), _) => User { id, group, name: None },
            (None, Ok(id)) => User { id, group: 0, name: None },
            (None, Err(_)) if is_known => return Err(refused("user", "passwd", user)),
            (None, Err(_)) => {
                let id = entry(groups, user).map_or(UNKNOWN, |(id, _)| id);
                User { id, group: id, name: Some(user.to_owned()) }
            }
        },
    };
    if let Some(group) = group {
        found.group = match (entry(groups, group), group.parse::<u32>()) {
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

/// `/etc/passwd` of busybox 1.37.
const BUSYBOX_PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
     daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
     bin:x:2:2:bin:/bin:/bin/false\n\
     sys:x:3:3:sys:/dev:/bin/false\n\
     sync:x:4:100:sync:/bin:/bin/sync\n\
     mail:x:8:8:mail:/var/spool/mail:/bin/false\n\
     www-data:x:33:33:www-data:/var/www:/bin/false\n\
     operator:x:37:37:Operator:/var:/bin/false\n\
     nobody:x:65534:65534:nobody:/home:/bin/false\n";

/// `/etc/group` of busybox 1.37.
const BUSYBOX_GROUP: &str = "root:x:0:\n\
     daemon:x:1:\n\
     bin:x:2:\n\
     sys:x:3:\n\
     adm:x:4:\n\
     tty:x:5:\n\
     disk:x:6:\n\
     lp:x:7:\n\
     mail:x:8:\n\
     kmem:x:9:\n\
     wheel:x:10:root\n\
     cdrom:x:11:\n\
     dialout:x:18:\n\
     floppy:x:19:\n\
     video:x:28:\n\
     audio:x:29:\n\
     tape:x:32:\n\
     www-data:x:33:\n\
     operator:x:37:\n\
     utmp:x:43:\n\
     plugdev:x:46:\n\
     staff:x:50:\n\
     lock:x:54:\n\
     netdev:x:82:\n\
     users:x:100:\n\
     nobody:x:65534:\n";

/// `/etc/passwd` of Alpine 3.20.
const ALPINE_PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
     bin:x:1:1:bin:/bin:/sbin/nologin\n\
     daemon:x:2:2:daemon:/sbin:/sbin/nologin\n\
     lp:x:4:7:lp:/var/spool/lpd:/sbin/nologin\n\
     sync:x:5:0:sync:/sbin:/bin/sync\n\
     shutdown:x:6:0:shutdown:/sbin:/sbin/shutdown\n\
     halt:x:7:0:halt:/sbin:/sbin/halt\n\
     mail:x:8:12:mail:/var/mail:/sbin/nologin\n\
     news:x:9:13:news:/usr/lib/news:/sbin/nologin\n\
     uucp:x:10:14:uucp:/var/spool/uucppublic:/sbin/nologin\n\
     cron:x:16:16:cron:/var/spool/cron:/sbin/nologin\n\
     ftp:x:21:21::/var/lib/ftp:/sbin/nologin\n\
     sshd:x:22:22:sshd:/dev/null:/sbin/nologin\n\
     games:x:35:35:games:/usr/games:/sbin/nologin\n\
     ntp:x:123:123:NTP:/var/empty:/sbin/nologin\n\
     guest:x:405:100:guest:/dev/null:/sbin/nologin\n\
     nobody:x:65534:65534:nobody:/:/sbin/nologin\n";

/// `/etc/group` of Alpine 3.20.
const ALPINE_GROUP: &str = "root:x:0:root\n\
     bin:x:1:root,bin,daemon\n\
     daemon:x:2:root,bin,daemon\n\
     sys:x:3:root,bin\n\
     adm:x:4:root,daemon\n\
     tty:x:5:\n\
     disk:x:6:root\n\
     lp:x:7:lp\n\
     kmem:x:9:\n\
     wheel:x:10:root\n\
     floppy:x:11:root\n\
     mail:x:12:mail\n\
     news:x:13:news\n\
     uucp:x:14:uucp\n\
     cron:x:16:cron\n\
     audio:x:18:\n\
     cdrom:x:19:\n\
     dialout:x:20:root\n\
     ftp:x:21:\n\
     sshd:x:22:\n\
     input:x:23:\n\
     tape:x:26:root\n\
     video:x:27:root\n\
     netdev:x:28:\n\
     kvm:x:34:kvm\n\
     games:x:35:\n\
     shadow:x:42:\n\
     www-data:x:82:\n\
     users:x:100:games\n\
     ntp:x:123:\n\
     abuild:x:300:\n\
     utmp:x:406:\n\
     ping:x:999:\n\
     nogroup:x:65533:\n\
     nobody:x:65534:\n";

/// `/etc/passwd` of Debian 12.
const DEBIAN_PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
     daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
     bin:x:2:2:bin:/bin:/usr/sbin/nologin\n\
     sys:x:3:3:sys:/dev:/usr/sbin/nologin\n\
     sync:x:4:65534:sync:/bin:/bin/sync\n\
     games:x:5:60:games:/usr/games:/usr/sbin/nologin\n\
     man:x:6:12:man:/var/cache/man:/usr/sbin/nologin\n\
     lp:x:7:7:lp:/var/spool/lpd:/usr/sbin/nologin\n\
     mail:x:8:8:mail:/var/mail:/usr/sbin/nologin\n\
     news:x:9:9:news:/var/spool/news:/usr/sbin/nologin\n\
     uucp:x:10:10:uucp:/var/spool/uucp:/usr/sbin/nologin\n\
     proxy:x:13:13:proxy:/bin:/usr/sbin/nologin\n\
     www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n\
     backup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n\
     list:x:38:38:Mailing List Manager:/var/list:/usr/sbin/nologin\n\
     irc:x:39:39:ircd:/run/ircd:/usr/sbin/nologin\n\
     _apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n\
     nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

/// `/etc/group` of Debian 12.
const DEBIAN_GROUP: &str = "root:x:0:\n\
     daemon:x:1:\n\
     bin:x:2:\n\
     sys:x:3:\n\
     adm:x:4:\n\
     tty:x:5:\n\
     disk:x:6:\n\
     lp:x:7:\n\
     mail:x:8:\n\
     news:x:9:\n\
     uucp:x:10:\n\
     man:x:12:\n\
     proxy:x:13:\n\
     kmem:x:15:\n\
     dialout:x:20:\n\
     fax:x:21:\n\
     voice:x:22:\n\
     cdrom:x:24:\n\
     floppy:x:25:\n\
     tape:x:26:\n\
     sudo:x:27:\n\
     audio:x:29:\n\
     dip:x:30:\n\
     www-data:x:33:\n\
     backup:x:34:\n\
     operator:x:37:\n\
     list:x:38:\n\
     irc:x:39:\n\
     src:x:40:\n\
     shadow:x:42:\n\
     utmp:x:43:\n\
     video:x:44:\n\
     sasl:x:45:\n\
     plugdev:x:46:\n\
     staff:x:50:\n\
     games:x:60:\n\
     users:x:100:\n\
     nogroup:x:65534:\n";

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
        assert_eq!(of("mail", "alpine"), (8, 12, None));
        assert_eq!(of("82:www-data", "alpine"), (82, 82, None));
        assert_eq!(of("www-data", "debian:12"), (33, 33, None));
        assert_eq!(
            of("www-data", "registry.example/php:8-fpm-alpine"),
            (82, 82, Some("www-data".to_owned()))
        );
        assert_eq!(of("www-data", "wordpress"), (33, 33, None));
        assert_eq!(of("node", "node:22"), (1000, 1000, Some("node".to_owned())));
        let refused = |specification| resolve(specification, "docker.io/library/alpine").unwrap_err().message;
        assert_eq!(refused("foo"), "unable to find user foo: no matching entries in passwd file");
        assert_eq!(refused("99999999999"), "uids and gids must be in range 0-2147483647");
        assert_eq!(refused("0:-1"), "uids and gids must be in range 0-2147483647");
        assert_eq!(refused("root:foo"), "unable to find group foo: no matching entries in group file");
    }
}
