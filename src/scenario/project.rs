//! Which files make the project of a folder, as Compose chooses them.
//!
//! `COMPOSE_FILE`, of the environment or of the folder's `.env`, lists files, separated by `COMPOSE_PATH_SEPARATOR` (`:`,
//! on Windows `;`). Without it the first file with one of Compose's names is taken and, over it, the first override file
//! beside it. An override file is merged only over a file found this way: whoever names a file gets that file.
//!
//! Limit: folders above are not searched.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::interpolate::parse_env_file;
use super::load::Source;

/// What Compose looks for in a folder; the first that is there is taken.
pub const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// What is merged over it; the first that is there is taken.
pub const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectFiles {
    /// The first, whose folder is the project's.
    pub file: PathBuf,
    /// Those merged over it, in order.
    pub overrides: Vec<PathBuf>,
}

impl ProjectFiles {
    /// A file and those merged over it; `None` of no files.
    #[must_use]
    pub fn listed(files: impl IntoIterator<Item = PathBuf>) -> Option<ProjectFiles> {
        let mut files = files.into_iter();
        Some(ProjectFiles { file: files.next()?, overrides: files.collect() })
    }

    /// The files of a folder; `None` when it has no Compose file. The environment's `COMPOSE_FILE` counts only with
    /// `ask_environment`: a folder that was named is not left for another project.
    #[must_use]
    pub fn in_folder(source: &dyn Source, folder: &Path, ask_environment: bool) -> Option<ProjectFiles> {
        let environment = |name: &str| source.environment(name).filter(|_| ask_environment);
        let env_file: BTreeMap<String, String> = source
            .read(&folder.join(".env"))
            .ok()
            // A file that cannot be understood is told about when the project is loaded.
            .and_then(|text| parse_env_file(&text, &|name| source.environment(name)).ok())
            .map(|pairs| pairs.into_iter().collect())
            .unwrap_or_default();
        let variable = |name: &str| {
            environment(name).or_else(|| env_file.get(name).cloned()).filter(|text| !text.is_empty())
        };
        if let Some(list) = variable("COMPOSE_FILE") {
            let usual = if cfg!(windows) { ";" } else { ":" };
            let separator = variable("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| usual.to_owned());
            let names = list.split(separator.as_str()).filter(|name| !name.is_empty());
            return Self::listed(names.map(|name| folder.join(name)));
        }
        let first = |names: &[&str]| {
            names.iter().map(|name| folder.join(name)).find(|file| source.read(file).is_ok())
        };
        Some(ProjectFiles { file: first(&NAMES)?, overrides: first(&OVERRIDE_NAMES).into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::MemorySource;

    fn shown(source: &MemorySource, ask_environment: bool) -> Vec<String> {
        let found = ProjectFiles::in_folder(source, Path::new("app"), ask_environment);
        let files = found.into_iter().flat_map(|found| [vec![found.file], found.overrides].concat());
        files.map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn files_are_chosen_as_compose_chooses_them() {
        let both = MemorySource::default()
            .with_file("app/docker-compose.yml", "")
            .with_file("app/compose.yaml", "")
            .with_file("app/docker-compose.override.yml", "");
        assert_eq!(shown(&both, true), ["app/compose.yaml", "app/docker-compose.override.yml"]);
        let listed =
            both.clone().with_file("app/.env", "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=a.yaml,b/c.yaml\n");
        assert_eq!(shown(&listed, true), ["app/a.yaml", "app/b/c.yaml"]);
        let wins = listed.with_variable("COMPOSE_FILE", "d.yaml,/e.yaml");
        assert_eq!(shown(&wins, true), ["app/d.yaml", "/e.yaml"]);
        assert_eq!(shown(&wins, false), ["app/a.yaml", "app/b/c.yaml"], "a named folder keeps its files");
        assert_eq!(shown(&MemorySource::default().with_file("app/x.yaml", ""), true), [""; 0]);
    }
}
