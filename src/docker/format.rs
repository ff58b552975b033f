//! The part of Go's text/template that people write after `--format`.
//!
//! Fields and chains (`.A.B`, `$v.A`), variables, literals, parentheses and pipes; `range` (one or two variables,
//! `else`), `if`, `else if`, `with`; trimming (`{{-`, `-}}`) and comments; Docker's and Go's functions: json, join,
//! split, lower, upper, title, truncate, pad, println, print, printf (`%s %v %d %q %t %%`), len, index, slice,
//! eq, ne, lt, le, gt, ge, and, or, not. Data is JSON: a field is a key, objects are ranged over in the order of their sorted
//! keys as Go does with maps. What Go knows of its types is said in `shape`; without it a null prints as `<no value>` and an
//! object as a map. Anything else (define, template, block, break, assignment to an outer variable, method calls) is refused by name. Nesting,
//! steps and output are bounded.

mod datum;
mod evaluate;
pub(in crate::docker) mod shape;
mod syntax;

use serde_json::Value;
use thiserror::Error;

use self::shape::Shape;
use self::syntax::Node;

/// A template ready to run.
#[derive(Debug, Clone)]
pub struct Template {
    nodes: Vec<Node>,
    source: String,
}

/// Why a template cannot be parsed or run. `docker inspect` prints it after `template parsing error: `.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The template is malformed.
    #[error("template: :{line}: {reason}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// The template uses something of Go's that is not reproduced.
    #[error("template: :{line}: {construct} is not supported")]
    Unsupported {
        /// The line, from 1.
        line: usize,
        /// What is used.
        construct: String,
    },
    /// The data does not fit the template.
    #[error("template: :{line}:{column}: executing \"\" at <{node}>: {reason}")]
    Execute {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 0, as Go counts.
        column: usize,
        /// The part of the template that failed.
        node: String,
        /// What is wrong.
        reason: String,
    },
    /// The template produces too much.
    #[error("template: :1: the result is larger than {0} bytes or takes more than a million steps")]
    TooLarge(usize),
}

impl Template {
    /// Parses `source`.
    ///
    /// # Errors
    /// When it is malformed or uses an unsupported construct.
    pub fn parse(source: &str) -> Result<Self, FormatError> {
        Ok(Self { nodes: syntax::parse(source)?, source: source.to_owned() })
    }

    /// Runs the template over `data`.
    ///
    /// # Errors
    /// When a field does not exist or a function gets something it cannot use.
    pub fn execute(&self, data: &Value) -> Result<String, FormatError> {
        evaluate::run(&self.nodes, &self.source, data, &Shape::Any, Missing::Error)
    }

    /// Runs the template over a value of a type of Go's.
    ///
    /// # Errors
    /// As [`Template::execute`].
    pub(in crate::docker) fn execute_as(
        &self,
        data: &Value,
        shape: &'static Shape,
    ) -> Result<String, FormatError> {
        evaluate::run(&self.nodes, &self.source, data, shape, Missing::NoValue)
    }
}

/// What a field that a mapping has not comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// The template fails, as in `docker inspect`.
    Error,
    /// It prints `<no value>`, as in `docker events`.
    NoValue,
}

/// What `json` makes of a row of a list.
pub(super) fn json_of_row(row: &Value, shape: &'static Shape) -> String {
    datum::Datum::borrowed(row, shape).json()
}

/// Parses and runs a template in one go.
///
/// # Errors
/// As [`Template::parse`] and [`Template::execute`].
pub fn format(source: &str, data: &Value) -> Result<String, FormatError> {
    Template::parse(source)?.execute(data)
}

/// The line (from 1) and byte in the line (from 0) of a byte offset.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.matches('\n').count() + 1;
    let column = before.rfind('\n').map_or(before.len(), |newline| before.len() - newline - 1);
    (line, column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn data() -> Value {
        json!({
            "Name": "web",
            "Args": ["a", "b"],
            "Count": 3,
            "On": true,
            "Links": null,
            "Labels": {"b": "2", "a": "1"},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null},
                "Networks": {"app": {"IPAddress": "172.18.0.2"}, "aaa": {"IPAddress": "172.19.0.2"}}},
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
        })
    }

    #[test]
    fn templates_people_write() {
        let cases = [
            ("{{.Name}} {{.NetworkSettings.Networks.app.IPAddress}}", "web 172.18.0.2"),
            (
                "{{json .Args}} {{json .NetworkSettings.Ports}}",
                "[\"a\",\"b\"] {\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"}],\"443/tcp\":null}",
            ),
            ("{{range .NetworkSettings.Networks}}{{.IPAddress}};{{end}}", "172.19.0.2;172.18.0.2;"),
            (
                "{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}}{{\"\\n\"}}{{end}}",
                "aaa=172.19.0.2\napp=172.18.0.2\n",
            ),
            ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
            ("{{(index .IPAM.Config 0).Subnet}}", "172.18.0.0/16"),
            ("{{range .IPAM.Config}}{{.Subnet}} {{println .Gateway}}{{end}}", "172.18.0.0/16 172.18.0.1\n"),
            ("{{len .Labels}} {{len .Args}} {{len .Name}}", "2 2 3"),
            ("{{join .Args \", \"}} {{.Name | upper | printf \"%s!\"}}", "a, b WEB!"),
            (
                "{{if .On}}yes{{else}}no{{end}} {{if .Links}}yes{{else if eq .Count 3}}three{{else}}no{{end}}",
                "yes three",
            ),
            ("{{with .Links}}x{{else}}none{{end}} {{with $x := .Name}}{{$x}}{{end}}", "none web"),
            (
                "{{range .Links}}x{{else}}empty{{end}} {{range $i, $a := .Args}}{{$i}}{{$a}}{{end}}",
                "empty 0a1b",
            ),
            ("a  {{- /* note */ -}}  b {{- .Name -}} c", "abwebc"),
            ("{{.Args}} {{.Labels}} {{.Count}} {{.On}} {{.Links}}", "[a b] map[a:1 b:2] 3 true <no value>"),
            ("{{$.Name}} {{$n := .Count}}{{range .Args}}{{$n}}{{$.Name}}{{end}}", "web 3web3web"),
            (
                "{{and .On .Name}} {{or .Links \"x\"}} {{not .On}} {{lt 2 .Count}} {{ne .Name \"db\"}}",
                "web x false true true",
            ),
            (
                "{{printf \"%q %d %v%%\" .Name .Count .On}} {{truncate .Name 2}} {{pad .Name 1 2}}|{{`raw`}}",
                "\"web\" 3 true% we  web  |raw",
            ),
            ("{{slice .Name 1}} {{slice .Name 0 2}} {{slice .Args 1 2}} {{slice .Name}}", "eb we [b] web"),
            ("{{index .Labels \"missing\"}}|{{. | json | len}}", "|331"),
            ("plain", "plain"),
        ];
        for (template, expected) in cases {
            let shown = format(template, &data()).unwrap_or_else(|error| panic!("{template}: {error}"));
            if template.contains("len}}") && template.contains("missing") {
                assert_eq!(shown, format!("|{}", data().to_string().len()));
            } else {
                assert_eq!(shown, expected, "{template}");
            }
        }
    }

    #[test]
    fn types_say_what_is_not_there() {
        use super::shape::{Field, Shape, Structure, field, renamed};
        const TEXT: &Shape = &Shape::Text;
        const FIELDS: &[Field] = &[
            field("Name", TEXT),
            renamed("ID", "Id", TEXT),
            field("Args", &Shape::List(TEXT)),
            field("Links", &Shape::List(TEXT)),
            field("Opts", &Shape::Map(TEXT)),
            field(
                "Health",
                &Shape::Pointer(&Shape::Struct(&Structure {
                    name: "Health",
                    fields: &[field("Status", TEXT)],
                })),
            ),
            field("Count", &Shape::Number),
            field("Off", &Shape::Bool),
            field("Labels", &Shape::Map(TEXT)),
        ];
        static SHAPE: Shape = Shape::Struct(&Structure { name: "Thing", fields: FIELDS });
        for (template, expected) in [
            ("{{.Name}}|{{.ID}}|{{.Links}}|{{.Opts}}|{{.Health}}|{{.Off}}", "web||[]|map[]|<nil>|false"),
            ("{{json .Links}} {{len .Links}} {{range .Opts}}x{{else}}none{{end}}", "null 0 none"),
            (
                "{{.Labels.nope}} {{.Labels.nope.deeper}} {{index .Labels \"nope\"}}.",
                "<no value> <no value> .",
            ),
            ("{{if .Health}}yes{{else}}no{{end}} {{if .}}yes{{end}}", "no yes"),
            ("{{.}}", "{web  [a b] [] map[] <nil> 3 false map[a:1 b:2]}"),
        ] {
            let shown = Template::parse(template).unwrap().execute_as(&data(), &SHAPE);
            assert_eq!(shown.unwrap(), expected, "{template}");
        }
        for (template, reason) in [
            ("{{.Bogus}}", "can't evaluate field Bogus in type Thing"),
            ("{{.Health.Status}}", "nil pointer evaluating .Status"),
            ("{{range .Name}}{{end}}", "range can't iterate over web"),
            (
                "{{.Label \"a\"}}",
                "error calling Label: Label has arguments but cannot be invoked as function",
            ),
        ] {
            let error = Template::parse(template).unwrap().execute_as(&data(), &SHAPE).unwrap_err();
            assert!(error.to_string().ends_with(reason), "{template}: {error}");
        }
    }

    #[test]
    fn errors_of_go() {
        let cases = [
            ("{{.Foo}}", "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\""),
            (
                "{{.NetworkSettings.IPAddress}}",
                "template: :1:18: executing \"\" at <.NetworkSettings.IPAddress>: map has no entry for key \"IPAddress\"",
            ),
            (
                "{{.Name.X}}",
                "template: :1:7: executing \"\" at <.Name.X>: can't evaluate field X in type interface {}",
            ),
            ("{{frob .Name}}", "template: :1: function \"frob\" not defined"),
            ("{{.Name", "template: :1: unclosed action"),
            ("{{if .On}}", "template: :1: unexpected EOF"),
            ("{{end}}", "template: :1: unexpected {{end}}"),
            ("\n{{$x}}", "template: :2: undefined variable \"$x\""),
            ("{{\"abc}}", "template: :1: unterminated quoted string"),
            ("{{}}", "template: :1: missing value for command"),
            ("{{template \"x\"}}", "template: :1: template is not supported"),
            (
                "{{index .Args 2}}",
                "template: :1:2: executing \"\" at <index .Args 2>: error calling index: reflect: slice index out of range",
            ),
            (
                "{{slice .Name 2 1}}",
                "template: :1:2: executing \"\" at <slice .Name 2 1>: error calling slice: invalid slice index: 2 > 1",
            ),
            (
                "{{slice .Name 0 4}}",
                "template: :1:2: executing \"\" at <slice .Name 0 4>: error calling slice: index out of range: 4",
            ),
            (
                "{{index .Args 7}}",
                "template: :1:2: executing \"\" at <index .Args 7>: error calling index: index out of range: 7",
            ),
        ];
        for (template, expected) in cases {
            assert_eq!(format(template, &data()).unwrap_err().to_string(), expected, "{template}");
        }
    }

    #[test]
    fn hostile_templates_end() {
        assert!(format(&format!("{{{{{}1{}}}}}", "(".repeat(5000), ")".repeat(5000)), &data()).is_err());
        assert!(Template::parse(&"{{if .On}}".repeat(5000)).is_err());
        let long: Vec<u32> = (0..1000).collect();
        let nested = "{{range $.X}}".repeat(5) + "x" + &"{{end}}".repeat(5);
        assert!(matches!(format(&nested, &json!({"X": long})), Err(FormatError::TooLarge(_))));
        assert!(format("{{pad \"x\" 999999999 999999999}}", &data()).is_err());
        let apart = "{{$x := split `".to_owned() + &"a".repeat(1 << 20) + "` ``}}{{len $x}}";
        assert!(matches!(format(&apart, &data()), Err(FormatError::TooLarge(_))));
        let doubling =
            "{{$x := \"aaaaaaaaaaaaaaaa\"}}".to_owned() + &"{{$x := print $x $x}}".repeat(60) + "{{$x}}";
        assert!(matches!(format(&doubling, &data()), Err(FormatError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn any_template_ends(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("{{".to_owned()), Just("}}".to_owned()), Just("{{range .}}".to_owned()), Just("{{end}}".to_owned()),
                    Just("{{else}}".to_owned()), Just("(".to_owned()), Just(")".to_owned()), Just("|".to_owned()),
                    Just(" .Name".to_owned()), Just(" index".to_owned()), Just(" 3".to_owned()), Just("é".to_owned()),
                    "\\PC{0,4}",
                ],
                0..12,
            ),
        ) {
            let _ = format(&parts.concat(), &data());
        }
    }
}
