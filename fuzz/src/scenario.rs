//! Scenario files: read, or refused with messages that point into the file.

use std::path::Path;

use linkspan::scenario::{LoadOptions, MemorySource, load};

/// The whole input is the file.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let source = MemorySource::default()
        .with_file("shop/s.yaml", text.as_str())
        .with_file("shop/other.yaml", "services: {other: {image: nginx}}\n")
        .with_variable("NAME", "value");
    match load(&source, Path::new("shop/s.yaml"), &LoadOptions::default()) {
        Ok(scenario) => assert!(!scenario.sources.files().is_empty()),
        Err(error) => {
            assert!(error.errors().next().is_some(), "refused without a word");
            for diagnostic in error.errors() {
                assert!(!diagnostic.message.is_empty());
                let Some(span) = diagnostic.span else { continue };
                let shown = error.sources.text(span);
                assert!(shown.is_some(), "{:?} is not within the file: {}", span, diagnostic.message);
                let position = error.sources.position(span).expect("a span has a place");
                let lines =
                    error.sources.file(span.file).expect("a span has a file").text.matches('\n').count();
                assert!((1..=lines + 1).contains(&position.line), "line {} of {lines}", position.line);
            }
            assert!(!error.render(false).is_empty());
        }
    }
}
