//! The files of a place: generated ones (`/etc/hosts`), an image's, and what programs write. Bounded, in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::task::Waker;

use crate::engine::sys::{Errno, Files};

/// Bytes that the files of one place may hold.
const LIMIT: usize = 64 << 20;

/// The files of one place by path.
#[derive(Default)]
pub(crate) struct FileTable {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Who waits for a write.
    followers: RefCell<Vec<Waker>>,
}

impl FileTable {
    /// Puts a file, whatever was there.
    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.borrow_mut().insert(path.to_owned(), content.into());
        self.wake_followers();
    }

    /// A file's text, empty if there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        let files = self.files.borrow();
        files.get(path).map(|content| String::from_utf8_lossy(content).into_owned()).unwrap_or_default()
    }

    fn wake_followers(&self) {
        for follower in self.followers.take() {
            follower.wake();
        }
    }
}

impl Files for FileTable {
    fn read(&self, path: &str) -> Result<Vec<u8>, Errno> {
        self.files.borrow().get(path).cloned().ok_or(Errno::NoSuchFile)
    }

    fn write(&self, path: &str, content: &[u8], append: bool) -> Result<(), Errno> {
        let mut files = self.files.borrow_mut();
        let total: usize = files.values().map(Vec::len).sum();
        if total + content.len() > LIMIT {
            return Err(Errno::MessageTooLong);
        }
        let file = files.entry(path.to_owned()).or_default();
        if !append {
            file.clear();
        }
        file.extend_from_slice(content);
        self.wake_followers();
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), Errno> {
        self.files.borrow_mut().remove(path).map(drop).ok_or(Errno::NoSuchFile)
    }

    fn wake_when_written(&self, waker: &Waker) {
        self.followers.borrow_mut().push(waker.clone());
    }

    fn list(&self, prefix: &str) -> Vec<String> {
        self.files.borrow().keys().filter(|path| path.starts_with(prefix)).cloned().collect()
    }
}
