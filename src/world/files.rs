//! The files of a place: generated ones (`/etc/hosts`), an image's, and what programs write. Bounded, in memory.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use crate::engine::sys::{Errno, Files};

/// Bytes that the files of one place may hold.
const LIMIT: usize = 64 << 20;

/// The files of one place by path. There may be ten thousand places with five files that nobody changes, so a table is
/// a sorted list, and a content that was put is shared with whoever put it until a program writes.
#[derive(Default)]
pub(crate) struct FileTable {
    files: RefCell<Vec<(Cow<'static, str>, Content)>>,
    /// Who waits for a write.
    followers: RefCell<Vec<Waker>>,
}

/// What is in a file.
pub(crate) enum Content {
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
    fn bytes(&self) -> &[u8] {
        match self {
            Content::Fixed(text) => text.as_bytes(),
            Content::Shared(text) => text.as_bytes(),
            Content::Written(bytes) => bytes,
        }
    }
}

impl FileTable {
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
        let found = find(&files, path).ok().map(|at| files[at].1.bytes());
        found.map(|content| String::from_utf8_lossy(content).into_owned()).unwrap_or_default()
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
        let at = find(&files, path).map_err(|_| Errno::NoSuchFile)?;
        Ok(files[at].1.bytes().to_vec())
    }

    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno> {
        let path = whole(Cow::Borrowed(path));
        let mut files = self.files.borrow_mut();
        let total: usize = files.iter().map(|(_, content)| content.bytes().len()).sum();
        if total + content.len() > LIMIT {
            return Err(Errno::MessageTooLong);
        }
        let at = find(&files, &path).unwrap_or_else(|at| {
            files.insert(at, (path.into_owned().into(), Content::Fixed("")));
            at
        });
        let file = &mut files[at].1;
        let mut bytes = match std::mem::replace(file, Content::Fixed("")) {
            _ if !append => Vec::new(),
            Content::Written(bytes) => bytes,
            shared => shared.bytes().to_vec(),
        };
        bytes.extend_from_slice(content);
        *file = Content::Written(bytes);
        drop(files);
        self.wake_followers();
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Errno> {
        let mut files = self.files.borrow_mut();
        let at = find(&files, path).map_err(|_| Errno::NoSuchFile)?;
        files.remove(at);
        Ok(())
    }

    fn wake_when_written(&self, waker: &Waker) {
        self.followers.borrow_mut().push(waker.clone());
    }

    fn list(&self, prefix: &str) -> Vec<String> {
        let prefix = whole(Cow::Borrowed(prefix));
        let files = self.files.borrow();
        files.iter().map(|(path, _)| path.to_string()).filter(|path| path.starts_with(&*prefix)).collect()
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
}
