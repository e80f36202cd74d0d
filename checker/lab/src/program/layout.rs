//! Which file of a project holds the program.
//!
//! As Pulumi's loader does it: in the project's folder, or in the one that `main` of `Pulumi.yaml` names, the first of
//! `Main.json`, `Main.yaml` and `Pulumi.yaml`. `Pulumi.yaml` at the top is the project in any case.

use std::path::{Path, PathBuf};

use super::error::Problems;
use super::expression;
use super::source::{self, Kind, Node};

/// The files of a project.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The file with the resources.
    pub(crate) file: PathBuf,
    /// The folder that relative paths start from.
    pub(crate) folder: PathBuf,
    /// Whether the project's own file is another one.
    pub(crate) split: bool,
}

impl Layout {
    /// Looks at the files of a folder. What is wrong with them is told when they are read.
    pub(crate) fn of(directory: &Path) -> Self {
        let project = directory.join("Pulumi.yaml");
        let shown = project.display().to_string();
        let main = source::read(&project, &shown)
            .ok()
            .and_then(|node| main_of(&node));
        let folder = match main {
            Some(main) if !matches!(main.as_str(), "." | "./" | "") => directory.join(main),
            Some(_) | None => directory.to_owned(),
        };
        let inside = ["Main.json", "Main.yaml"]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|file| file.exists());
        let file = inside.unwrap_or_else(|| folder.join("Pulumi.yaml"));
        Self {
            split: file != project,
            file,
            folder,
        }
    }
}

fn main_of(node: &Node) -> Option<String> {
    let Kind::Object(sections) = &node.kind else {
        return None;
    };
    let (key, value) = sections.iter().find(|(key, _)| key.name.value == "main")?;
    let mut nowhere = Problems::of("");
    expression::plain(value, &key.name.value, &mut nowhere).map(|(_, main)| main)
}
