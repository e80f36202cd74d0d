//! Paths as a Mermaid graph: text that reports and web pages draw.

use std::collections::BTreeMap;

use crate::run::ReachPath;

/// A graph of all the paths; equal steps are drawn once.
pub fn mermaid(paths: &[ReachPath]) -> String {
    let mut edges: Vec<(&str, &str, &str)> = paths
        .iter()
        .flat_map(|path| &path.steps)
        .map(|step| (step.from.as_str(), step.to.as_str(), step.by.as_str()))
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::from("graph LR\n");
    for name in edges.iter().flat_map(|(from, to, _)| [*from, *to]) {
        let next = numbers.len();
        if !numbers.contains_key(name) {
            numbers.insert(name, next);
            text.extend([&format!("  n{next}[\""), quoted(name).as_str(), "\"]\n"]);
        }
    }
    let number = |name: &str| numbers.get(name).copied().unwrap_or_default();
    for (from, to, by) in &edges {
        let (from, to) = (number(from), number(to));
        text.extend([
            &format!("  n{from} -->|\""),
            quoted(by).as_str(),
            &format!("\"| n{to}\n"),
        ]);
    }
    text
}

/// Text inside a quoted label, where nothing may end the label or start markup.
fn quoted(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => safe.push_str("#quot;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '#' => safe.push_str("#35;"),
            '`' => safe.push_str("#96;"),
            other if other.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::mermaid;
    use crate::run::{ReachPath, ReachStep};

    #[test]
    fn a_path_is_drawn_once_and_no_text_breaks_out() {
        let step = |from: &str, to: &str| ReachStep {
            from: from.to_owned(),
            by: "sts:AssumeRole".to_owned(),
            to: to.to_owned(),
        };
        let path = |steps| ReachPath {
            rule: "DT-001.cannot-reach".to_owned(),
            from: "a".to_owned(),
            to: "c".to_owned(),
            steps,
        };
        let paths = [
            path(vec![step("a", "b"), step("b", "c")]),
            path(vec![step("a", "b")]),
        ];
        assert_eq!(
            mermaid(&paths),
            "graph LR\n  n0[\"a\"]\n  n1[\"b\"]\n  n2[\"c\"]\n  n0 -->|\"sts:AssumeRole\"| n1\n  n1 -->|\"sts:AssumeRole\"| n2\n"
        );
        let hostile = mermaid(&[path(vec![step("x\"]\nclick x", "<script>")])]);
        assert!(
            !hostile.contains("<script>") && !hostile.contains("\"]\nclick"),
            "{hostile}"
        );
    }
}
