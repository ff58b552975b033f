//! What `docker events` prints of the events so far.
//!
//! A simulated command ends, so it shows what is remembered and does not wait for more. Times count from the world's
//! beginning, which stands for a date; `--since` and `--until` take seconds of the Unix epoch or a time before now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::cli::duration;
use super::error::{DockerError, Shown};
use super::format;
use super::inspect;
use super::outcome::{DockerEvent, EventKind};
use super::request::{Events, Filter};

/// The lines of the events that are asked for.
///
/// # Errors
/// When a time, a filter or the template is none.
pub fn list<'a>(
    request: &Events,
    now: Duration,
    events: impl Iterator<Item = &'a DockerEvent>,
) -> Result<String, DockerError> {
    let since = request.since.as_deref().map(|text| moment("since", text, now)).transpose()?;
    let until = request.until.as_deref().map(|text| moment("until", text, now)).transpose()?;
    let known = ["container", "daemon", "event", "image", "label", "network", "scope", "type"];
    if let Some(filter) = request.filters.iter().find(|filter| !known.contains(&filter.name.as_str())) {
        return Err(DockerError::bad_parameter(format!("invalid filter '{}'", filter.name)));
    }
    let wanted = events
        .filter(|event| since.is_none_or(|since| event.time >= since))
        .filter(|event| until.is_none_or(|until| event.time <= until))
        .filter(|event| matches(event, &request.filters));
    let mut text = String::new();
    for event in wanted {
        match request.format.as_deref() {
            None => text += &line(event),
            Some("json") => text += &message(event).to_string(),
            Some(template) => {
                text += &format::format_with_gaps(template, &message(event)).map_err(|error| {
                    let text = format!("template parsing error: {error}");
                    DockerError::bad_parameter(text).shown_as(Shown::Client)
                })?;
            }
        }
        text.push('\n');
    }
    Ok(text)
}

fn line(event: &DockerEvent) -> String {
    let attributes: Vec<String> =
        event.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (time, kind, id) = (inspect::timestamp_of_event(event.time), event.kind.name(), event.id.as_str());
    format!("{time} {kind} {} {id} ({})", event.action, attributes.join(", "))
}

/// The event as the API sends it.
fn message(event: &DockerEvent) -> Value {
    let nanoseconds = inspect::since_epoch(event.time).as_nanos();
    let mut fields = serde_json::Map::new();
    if event.kind == EventKind::Container {
        fields.insert("status".to_owned(), json!(event.action));
        fields.insert("id".to_owned(), json!(event.id.as_str()));
        fields.insert("from".to_owned(), json!(event.attributes.get("image")));
    }
    fields.insert("Type".to_owned(), json!(event.kind.name()));
    fields.insert("Action".to_owned(), json!(event.action));
    let actor = json!({"ID": event.id.as_str(), "Attributes": event.attributes});
    fields.insert("Actor".to_owned(), actor);
    fields.insert("scope".to_owned(), json!("local"));
    fields.insert("time".to_owned(), json!(inspect::since_epoch(event.time).as_secs()));
    fields.insert("timeNano".to_owned(), json!(u64::try_from(nanoseconds).unwrap_or(u64::MAX)));
    Value::Object(fields)
}

/// Filters of one name are alternatives; those of different names must all hold.
fn matches(event: &DockerEvent, filters: &[Filter]) -> bool {
    let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
    let object = |kind: EventKind, value: &str| {
        event.kind == kind && (event.id.as_str().starts_with(value) || attribute("name") == Some(value))
    };
    let holds = |filter: &Filter| {
        let value = filter.value.as_str();
        match filter.name.as_str() {
            "type" => event.kind.name() == value,
            // `health_status: healthy` is a `health_status`, too.
            "event" => event.action == value || event.action.split(':').next() == Some(value),
            "container" => object(EventKind::Container, value),
            "network" => object(EventKind::Network, value),
            "image" => attribute("image") == Some(value),
            "label" => match value.split_once('=') {
                Some((name, value)) => attribute(name) == Some(value),
                None => attribute(value).is_some(),
            },
            "scope" => value == "local",
            _ => true,
        }
    };
    let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        *groups.entry(filter.name.as_str()).or_default() |= holds(filter);
    }
    groups.values().all(|held| *held)
}

/// A moment of the world's time.
fn moment(option: &str, text: &str, now: Duration) -> Result<Duration, DockerError> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Ok(since) = Duration::try_from_secs_f64(seconds)
    {
        return Ok(since.saturating_sub(inspect::since_epoch(Duration::ZERO)));
    }
    match duration(text) {
        Ok(ago) => Ok(now.saturating_sub(ago)),
        Err(_) => Err(DockerError::bad_parameter(format!(
            "invalid value for \"{option}\": \"{text}\": expected seconds of the Unix epoch or a time such as 10m"
        ))),
    }
}
