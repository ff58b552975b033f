//! What a service asks of the kernel, and as whom it runs: `sysctls`, `cap_add`, `cap_drop`, `user`.
//!
//! What dockerd or its runtime refuses whatever else is the case is refused when the file is read, in their words.

use super::diagnostic::{Diagnostic, Diagnostics};
use super::model::NetworkMode;
use super::read::settings;
use super::yaml::Node;
use crate::docker::{capability, sysctls, user};

/// Kernel settings; those of the network that nothing here asks for are warned of.
pub(super) fn read_sysctls(
    node: Option<&Node>,
    network: &NetworkMode,
    diagnostics: &mut Diagnostics,
) -> Vec<(String, String)> {
    let Some(node) = node else { return Vec::new() };
    let of_entries = node.entries().iter().map(|entry| {
        let value = entry.value.text().map(|text| text.into_owned()).unwrap_or_default();
        (entry.key_span, entry.key.clone(), value)
    });
    let of_items = node.items().iter().filter_map(|item| {
        let text = item.text()?;
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        Some((item.span, key.to_owned(), value.to_owned()))
    });
    for (span, key, value) in of_entries.chain(of_items).filter(|(_, key, _)| key.starts_with("net.")) {
        let refused = match network {
            NetworkMode::Host => Some(format!("sysctl \"{key}\" not allowed in host network namespace")),
            NetworkMode::Networks(_) | NetworkMode::DefaultBridge | NetworkMode::None => {
                sysctls::refusal(&key, &value)
            }
            // The namespace is another container's.
            NetworkMode::Service(_) | NetworkMode::Container(_) => None,
        };
        if let Some(reason) = refused {
            diagnostics.push(Diagnostic::error(span, reason).label("the container would not start"));
        } else if !sysctls::acts(&key) {
            let message = format!("the kernel setting `{key}` has no effect in this release");
            diagnostics.push(Diagnostic::warning(span, message));
        }
    }
    settings(Some(node))
}

/// Whom the main process runs as: `USER[:GROUP]`.
pub(super) fn read_user(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
    let written = node.get("user")?;
    let text = written.text()?.into_owned();
    let image = node.get("image").and_then(Node::text).unwrap_or_default();
    if let Err(error) = user::resolve(&text, &image) {
        let message = error.to_string();
        diagnostics.push(Diagnostic::error(written.span, message).label("the container would not start"));
    }
    Some(text)
}

/// Capabilities that Docker does not know keep it from making the container.
pub(super) fn check_capabilities(node: &Node, diagnostics: &mut Diagnostics) {
    for (key, option) in [("cap_add", "CapAdd"), ("cap_drop", "CapDrop")] {
        for item in node.get(key).map(Node::items).unwrap_or_default() {
            let Some(name) = item.text() else { continue };
            if let Some(unknown) = capability::unknown(&[name.into_owned()]) {
                let message = format!("invalid {option}: unknown capability: \"{unknown}\"");
                diagnostics.push(Diagnostic::error(item.span, message).label("not one of capabilities(7)"));
            }
        }
    }
}
