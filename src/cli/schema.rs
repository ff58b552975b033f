//! `linkspan schema`: the JSON Schema of scenario files, for editors.

use clap::Args;
use linkspan::scenario::json_schema;

use super::Verdict;
use super::terminal::Terminal;

/// Print the JSON Schema of scenario files
#[derive(Debug, Args)]
#[command(after_help = "\
Editors with the YAML language server take it from the file's first line:
  linkspan schema > linkspan.schema.json
  # yaml-language-server: $schema=linkspan.schema.json")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments, terminal: &mut Terminal) -> anyhow::Result<Verdict> {
    terminal.line(&serde_json::to_string_pretty(&json_schema())?);
    Ok(Verdict::Passed)
}
