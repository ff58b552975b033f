//! The files of a place: generated ones (`/etc/hosts`), an image's, and what programs write. Bounded, in memory.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use crate::engine::sys::{Errno, Files, piece};

/// Bytes that the files of one place may hold.
const LIMIT: usize = 64 << 20;

/// The files of one place by path. There may be ten thousand places with five files that nobody changes, so a table is
/// a sorted list above an image's files, and a content that was put is shared with whoever put it until a program
/// writes.
#[derive(Default)]
pub(crate) struct FileTable {
    /// What is there unless the table has another of that path.
    image: Image,
    files: RefCell<Vec<(Cow<'static, str>, Content)>>,
    /// Who waits for a write.
    followers: RefCell<Vec<Waker>>,
}

/// Files that many places have, by path.
pub(crate) type Image = &'static [(&'static str, &'static str)];

/// What is in a file.
pub(crate) enum Content {
    /// The image's file is gone.
    Removed,
    Fixed(&'static str),
    Shared(Arc<str>),
    Written(Vec<u8>),
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Content {
        Content::Fixed(text)
    }
}

impl From<Arc<str>> for Content {
    fn from(text: Arc<str>) -> Content {
        Content::Shared(text)
    }
}

impl From<String> for Content {
    fn from(text: String) -> Content {
        Content::Shared(text.into())
    }
}

impl Content {
    /// `None` if there is no such file.
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Content::Removed => None,
            Content::Fixed(text) => Some(text.as_bytes()),
            Content::Shared(text) => Some(text.as_bytes()),
            Content::Written(bytes) => Some(bytes),
        }
    }
}

impl FileTable {
    /// The files of an image.
    pub(crate) fn of_image(image: Image) -> FileTable {
        FileTable { image, ..FileTable::default() }
    }

    /// Puts a file, whatever was there.
    pub(crate) fn put(&self, path: impl Into<Cow<'static, str>>, content: impl Into<Content>) {
        let path = whole(path.into());
        let mut files = self.files.borrow_mut();
        match find(&files, &path) {
            Ok(at) => files[at].1 = content.into(),
            Err(at) => {
                files.reserve_exact(1);
                files.insert(at, (path, content.into()));
            }
        }
        drop(files);
        self.wake_followers();
    }

    /// A file's text, empty if there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        let files = self.files.borrow();
        self.get(&files, path).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// What is in a file.
    fn get<'a>(&self, files: &'a [(Cow<'static, str>, Content)], path: &str) -> Option<&'a [u8]> {
        match find(files, path) {
            Ok(at) => files[at].1.bytes(),
            Err(_) => self.image.iter().find(|(known, _)| *known == path).map(|(_, text)| text.as_bytes()),
        }
    }

    /// Every path that there is or was a file of.
    fn paths<'a>(
        &self,
        files: &'a [(Cow<'static, str>, Content)],
    ) -> impl Iterator<Item = &'a str> + use<'a> {
        let own = files.iter().map(|(path, _)| path.as_ref());
        own.chain(self.image.iter().map(|(path, _)| *path).filter(|path| find(files, path).is_err()))
    }

    fn wake_followers(&self) {
        for follower in self.followers.take() {
            follower.wake();
        }
    }
}

impl Files for FileTable {
    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let files = self.files.borrow();
        self.get(&files, path).map(<[u8]>::to_vec).ok_or(Errno::NoSuchFile)
    }

    fn read_at(&self, path: &str, offset: usize, limit: usize) -> Result<Vec<u8>, Errno> {
        let files = self.files.borrow();
        let content = self.get(&files, path).ok_or(Errno::NoSuchFile)?;
        Ok(piece(content, offset, limit).to_vec())
    }

    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno> {
        let path = whole(Cow::Borrowed(path));
        let mut files = self.files.borrow_mut();
        let total: usize =
            self.paths(&files).filter_map(|path| self.get(&files, path)).map(<[u8]>::len).sum();
        if total + content.len() > LIMIT {
            return Err(Errno::MessageTooLong);
        }
        let at = find(&files, &path).unwrap_or_else(|at| {
            let image = self.image.iter().find(|(known, _)| *known == path);
            let content = image.map_or(Content::Removed, |(_, text)| Content::Fixed(text));
            files.insert(at, (path.into_owned().into(), content));
            at
        });
        let file = &mut files[at].1;
        let mut bytes = match std::mem::replace(file, Content::Removed) {
            _ if !append => Vec::new(),
            Content::Written(bytes) => bytes,
            shared => shared.bytes().unwrap_or_default().to_vec(),
        };
        bytes.extend_from_slice(content);
        *file = Content::Written(bytes);
        drop(files);
        self.wake_followers();
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Errno> {
        let mut files = self.files.borrow_mut();
        self.get(&files, path).ok_or(Errno::NoSuchFile)?;
        match (find(&files, path), self.image.iter().any(|(known, _)| *known == path)) {
            (Ok(at), true) => files[at].1 = Content::Removed,
            (Ok(at), false) => {
                files.remove(at);
            }
            (Err(at), _) => files.insert(at, (path.to_owned().into(), Content::Removed)),
        }
        Ok(())
    }

    fn wake_when_written(&self, waker: &Waker) {
        self.followers.borrow_mut().push(waker.clone());
    }

    fn list(&self, prefix: &str) -> Vec<String> {
        let prefix = whole(Cow::Borrowed(prefix));
        let files = self.files.borrow();
        let there = self.paths(&files).filter(|path| self.get(&files, path).is_some());
        let mut paths: Vec<String> =
            there.filter(|path| path.starts_with(&*prefix)).map(str::to_owned).collect();
        paths.sort();
        paths
    }
}

/// Where a file is, or would be.
fn find(files: &[(Cow<'static, str>, Content)], path: &str) -> Result<usize, usize> {
    let path = whole(Cow::Borrowed(path));
    files.binary_search_by(|(known, _)| known.as_ref().cmp(&path))
}

/// A path from `/` on: that is where every program works, as in a container of an image that says nothing else.
fn whole(path: Cow<'_, str>) -> Cow<'_, str> {
    if path.starts_with('/') && !path.contains("//") && !path.contains("/./") {
        return path;
    }
    let mut whole = String::new();
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        whole.push('/');
        whole.push_str(name);
    }
    if whole.is_empty() || path.ends_with('/') {
        whole.push('/');
    }
    Cow::Owned(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        let table = FileTable::default();
        table.write("cfg/a", b"one", false).unwrap();
        table.write("/cfg//b", b"two", false).unwrap();
        table.put("./c", "three");
        assert_eq!(table.text("/cfg/./a"), "one");
        assert_eq!(table.list("cfg/"), ["/cfg/a", "/cfg/b"]);
        assert_eq!(table.list("/"), ["/c", "/cfg/a", "/cfg/b"]);
        table.remove("cfg/a").unwrap();
        assert_eq!(table.read("/cfg/a"), Err(Errno::NoSuchFile));
    }

    #[test]
    fn an_images_files_can_be_changed_and_removed_and_stay_in_the_image() {
        const IMAGE: Image = &[("/etc/passwd", "root\n"), ("/www/index.html", "hello\n")];
        let (changed, other) = (FileTable::of_image(IMAGE), FileTable::of_image(IMAGE));
        changed.put("/etc/hosts", "localhost\n");
        changed.write("/etc/passwd", b"nobody\n", true).unwrap();
        changed.remove("/www/index.html").unwrap();
        assert_eq!(changed.list("/"), ["/etc/hosts", "/etc/passwd"]);
        assert_eq!(changed.text("/etc/passwd"), "root\nnobody\n");
        assert_eq!(changed.read("/www/index.html"), Err(Errno::NoSuchFile));
        assert_eq!(changed.remove("/www/index.html"), Err(Errno::NoSuchFile));
        changed.write("/www/index.html", b"again", true).unwrap();
        assert_eq!(changed.text("/www/index.html"), "again");
        assert_eq!(other.list("/"), ["/etc/passwd", "/www/index.html"]);
        assert_eq!(other.text("/etc/passwd"), "root\n");
    }
}
