//! What is known of images without any registry: the command they run, the ports they expose and listen on. An image
//! that is not in the table is accepted as if it had been pulled; it exposes nothing and runs what it is told.

use std::collections::BTreeMap;

use super::cli::ports::Protocol;
use super::request::ExposedPort;

/// Images by reference, the tag left out where it is `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageCatalogue {
    images: BTreeMap<String, Image>,
}

/// One image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `EXPOSE`.
    pub expose: Vec<ExposedPort>,
    /// `ENV`, `NAME=VALUE`.
    pub env: Vec<String>,
    /// What its own command listens on.
    pub listens: Vec<ExposedPort>,
    /// What is answered on a TCP port by HTTP, where that is said.
    pub pages: Vec<(u16, String)>,
    /// `ENTRYPOINT`.
    pub entrypoint: Vec<String>,
    /// `CMD`.
    pub command: Vec<String>,
}

impl Default for ImageCatalogue {
    /// The images of the reference stage: busybox, nginx and multiport.
    fn default() -> Self {
        let tcp = |port| ExposedPort { port, protocol: Protocol::Tcp };
        let udp = |port| ExposedPort { port, protocol: Protocol::Udp };
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let path = || vec!["PATH=/bin".to_owned()];
        let image = |expose: Vec<ExposedPort>, listens: Vec<ExposedPort>, command: &str| Image {
            expose,
            env: path(),
            listens,
            pages: Vec::new(),
            entrypoint: Vec::new(),
            command: words(command),
        };
        let images = [
            ("busybox", image(Vec::new(), Vec::new(), "/bin/sh")),
            ("nginx", image(vec![tcp(80)], vec![tcp(80)], "httpd -f -p 80 -h /www")),
            ("multiport", image(vec![tcp(80), tcp(443), udp(53)], vec![tcp(80)], "httpd -f -p 80 -h /www")),
        ];
        Self { images: images.into_iter().map(|(name, image)| (name.to_owned(), image)).collect() }
    }
}

impl ImageCatalogue {
    /// Adds or replaces an image.
    pub fn insert(&mut self, reference: impl Into<String>, image: Image) {
        self.images.insert(reference.into(), image);
    }

    /// The image of a reference: as written, without tag or digest, or by its last path component.
    pub fn get(&self, reference: &str) -> Option<&Image> {
        let untagged = reference.split('@').next().unwrap_or(reference);
        let (path, file) = match untagged.rsplit_once('/') {
            Some((path, file)) => (Some(path), file),
            None => (None, untagged),
        };
        let bare = file.split(':').next().unwrap_or(file);
        let full = path.map_or_else(|| bare.to_owned(), |path| format!("{path}/{bare}"));
        [reference, full.as_str(), bare].into_iter().find_map(|name| self.images.get(name))
    }
}
