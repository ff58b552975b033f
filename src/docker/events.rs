//! What `docker events` prints of the events so far.
//!
//! A simulated command ends, so it shows what is remembered and does not wait for more. Times count from the world's
//! beginning, which stands for a date; `--since` and `--until` take seconds of the Unix epoch or a time before now.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::cli::duration;
use super::error::{DockerError, Shown};
use super::format::shape::{Shape, Structure, field, renamed};
use super::format::{FormatError, Template};
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
    let time = |text: &String| moment(text, now).map_err(|error| error.shown_as(Shown::Alone));
    let since = request.since.as_ref().map(time).transpose()?;
    let until = request.until.as_ref().map(time).transpose()?;
    let wanted = events
        .filter(|event| since.flatten().is_none_or(|since| event.time >= since))
        .filter(|event| until.is_none_or(|until| until.is_some_and(|until| event.time <= until)))
        .filter(|event| matches(event, &request.filters));
    let template = request.format.as_deref().filter(|format| *format != "json");
    let template = template.map(Template::parse).transpose().map_err(unusable)?;
    if let Some(template) = &template {
        // The client tries it out before it asks.
        template.execute_as(&Value::Null, &MESSAGE).map_err(unusable)?;
    }
    let mut text = String::new();
    for event in wanted {
        match &template {
            Some(template) => text += &template.execute_as(&message(event), &MESSAGE).map_err(unusable)?,
            None if request.format.is_some() => text += &message(event).to_string(),
            None => text += &line(event),
        }
        text.push('\n');
    }
    Ok(text)
}

/// What the client says of a template that it cannot use.
fn unusable(error: FormatError) -> DockerError {
    let text = format!("Error parsing format: {error}");
    DockerError::bad_parameter(text).shown_as(Shown::Template { parsed: false })
}

/// What a template sees of an event (`events.Message`).
static MESSAGE: Shape = Shape::Struct(&Structure {
    name: "*events.Message",
    fields: &[
        renamed("Status", "status", &Shape::Text),
        renamed("ID", "id", &Shape::Text),
        renamed("From", "from", &Shape::Text),
        field("Type", &Shape::Text),
        field("Action", &Shape::Text),
        field(
            "Actor",
            &Shape::Struct(&Structure {
                name: "events.Actor",
                fields: &[field("ID", &Shape::Text), field("Attributes", &Shape::Map(&Shape::Text))],
            }),
        ),
        renamed("Scope", "scope", &Shape::Text),
        renamed("Time", "time", &Shape::Number),
        renamed("TimeNano", "timeNano", &Shape::Number),
    ],
});

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

/// A moment of the world's time: seconds of the Unix epoch, or how long ago; `None` if the world had not begun.
///
/// # Errors
/// When the text is neither.
pub(super) fn moment(text: &str, now: Duration) -> Result<Option<Duration>, DockerError> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Ok(since) = Duration::try_from_secs_f64(seconds)
    {
        return Ok(since.checked_sub(inspect::since_epoch(Duration::ZERO)));
    }
    duration(text).map(|ago| now.checked_sub(ago)).map_err(|_| {
        DockerError::bad_parameter(format!("failed to parse value as time or duration: {text:?}"))
    })
}
