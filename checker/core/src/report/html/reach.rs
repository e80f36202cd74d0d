//! Who can reach a secret, drawn as a graph, told as a list, and given as Mermaid source.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::mark;
use crate::run::{ReachPath, Run};

/// The most principals and resources that are drawn.
const NODES: usize = 48;
/// The most paths that are told one by one.
const TOLD: usize = 500;
/// Size of a box and the room around it.
const BOX: (u64, u64) = (208, 44);
const STEP: (u64, u64) = (330, 66);
const EDGE: u64 = 6;

/// The section; nothing when no path is known.
pub(super) fn section(run: &Run) -> Markup {
    let graph = Graph::of(&run.reach);
    html! {
        @if !run.reach.is_empty() {
            section id="reach" aria-labelledby="reach-head" {
                h2 id="reach-head" { "Who can reach a secret" }
                p {
                    (mark::count(mark::length(&run.reach), "path", "paths"))
                    " by which a principal reaches what a rule speaks of."
                    @if graph.paths < run.reach.len() {
                        " The first " (graph.paths) " are drawn, all are listed."
                    }
                }
                figure {
                    div.scroll tabindex="0" role="region" aria-label="Graph of the paths" { (graph.draw()) }
                    figcaption.quiet { "From left to right: who begins, over whom, to what. Each arrow carries the action that is allowed." }
                }
                details {
                    summary { "The paths as a list" }
                    ol.paths {
                        @for path in run.reach.iter().take(TOLD) { (told(path)) }
                    }
                    @if run.reach.len() > TOLD {
                        p.quiet { "And " (run.reach.len() - TOLD) " more in run.json." }
                    }
                }
                details {
                    summary { "Source for Mermaid" }
                    pre tabindex="0" { code { (graph.mermaid()) } }
                }
            }
        }
    }
}

fn told(path: &ReachPath) -> Markup {
    html! {
        li {
            code { (path.rule) } ": " (mark::resource(&path.from))
            @for step in &path.steps {
                " may " strong { (step.by) } " and so reaches " (mark::resource(&step.to))
            }
        }
    }
}

/// Nodes in columns and the edges between them.
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    /// From node, to node, the actions.
    edges: BTreeMap<(usize, usize), Vec<&'a str>>,
    /// How many paths are in it.
    paths: usize,
}

struct Node<'a> {
    name: &'a str,
    column: u64,
    row: u64,
}

impl<'a> Graph<'a> {
    fn of(paths: &'a [ReachPath]) -> Self {
        let mut columns: BTreeMap<&str, u64> = BTreeMap::new();
        let mut order: Vec<&str> = Vec::new();
        let mut drawn = 0;
        for path in paths {
            if order.len() + path.steps.len() + 1 > NODES && drawn > 0 {
                break;
            }
            drawn += 1;
            let places = path.steps.iter().flat_map(|step| [&*step.from, &*step.to]);
            let mut visited: Vec<&str> = Vec::new();
            for place in places {
                if visited.contains(&place) {
                    continue;
                }
                // A place stands as far to the right as its longest way demands, a loop on that way left out.
                let column = columns.entry(place).or_insert(0);
                *column = (*column).max(mark::length(&visited));
                visited.push(place);
                if !order.contains(&place) {
                    order.push(place);
                }
            }
        }
        let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
        let nodes: Vec<Node<'a>> = order
            .iter()
            .map(|name| {
                let column = columns.get(name).copied().unwrap_or(0);
                let row = rows.entry(column).or_insert(0);
                *row += 1;
                Node {
                    name,
                    column,
                    row: *row - 1,
                }
            })
            .collect();
        let at = |name: &str| nodes.iter().position(|node| node.name == name);
        let mut edges: BTreeMap<(usize, usize), Vec<&str>> = BTreeMap::new();
        for step in paths.iter().take(drawn).flat_map(|path| &path.steps) {
            if let (Some(from), Some(to)) = (at(&step.from), at(&step.to)) {
                let actions = edges.entry((from, to)).or_default();
                if !actions.contains(&&*step.by) {
                    actions.push(&step.by);
                }
            }
        }
        Self {
            nodes,
            edges,
            paths: drawn,
        }
    }

    fn draw(&self) -> Markup {
        let most = |of: fn(&Node<'_>) -> u64| self.nodes.iter().map(of).max().unwrap_or(0);
        let width = most(|node| node.column) * STEP.0 + BOX.0 + 2 * EDGE;
        let height = most(|node| node.row) * STEP.1 + BOX.1 + 2 * EDGE + 14;
        html! {
            svg.graph viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-labelledby="graph-title" {
                title id="graph-title" {
                    "Graph with " (self.nodes.len()) " principals and resources and " (self.edges.len())
                    " arrows; the same is told as a list below."
                }
                defs {
                    marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse" {
                        path.head d="M0 0l8 4-8 4z" {}
                    }
                }
                @for (from, to) in self.edges.keys() {
                    @if let (Some(from), Some(to)) = (self.nodes.get(*from), self.nodes.get(*to)) { (edge(from, to)) }
                }
                @for ((from, to), actions) in &self.edges {
                    @if let (Some(from), Some(to)) = (self.nodes.get(*from), self.nodes.get(*to)) { (edge_label(from, to, actions)) }
                }
                @for node in &self.nodes { (node.draw()) }
            }
        }
    }

    fn mermaid(&self) -> String {
        let mut text = String::from("graph LR\n");
        for (index, node) in self.nodes.iter().enumerate() {
            writeln!(text, "  n{index}[\"{}\"]", mermaid_text(node.name)).unwrap_or_default();
        }
        for ((from, to), actions) in &self.edges {
            writeln!(
                text,
                "  n{from} -->|\"{}\"| n{to}",
                mermaid_text(&actions.join(", "))
            )
            .unwrap_or_default();
        }
        text
    }
}

/// Text that Mermaid takes for nothing but text.
fn mermaid_text(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ':' | ',' | '*') {
            plain.push(c);
        } else {
            write!(plain, "#{};", u32::from(c)).unwrap_or_default();
        }
    }
    plain
}

impl Node<'_> {
    fn left(&self) -> u64 {
        EDGE + self.column * STEP.0
    }

    fn middle(&self) -> u64 {
        EDGE + self.row * STEP.1 + 14 + BOX.1 / 2
    }

    fn draw(&self) -> Markup {
        let (kind, name) = kind_and_name(self.name);
        html! {
            g.node {
                title { (self.name) }
                rect x=(self.left()) y=(self.middle() - BOX.1 / 2) width=(BOX.0) height=(BOX.1) rx="5" {}
                text.kind x=(self.left() + 12) y=(self.middle() - 5) { (cut(&kind, 30)) }
                text.name x=(self.left() + 12) y=(self.middle() + 12) { (cut(name, 26)) }
            }
        }
    }
}

fn edge(from: &Node<'_>, to: &Node<'_>) -> Markup {
    let (x1, y1) = (from.left() + BOX.0, from.middle());
    let (x2, y2) = (to.left(), to.middle());
    let bend = 48;
    let curve = if from.column < to.column {
        format!(
            "M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}",
            x1 + bend,
            x2.saturating_sub(bend)
        )
    } else {
        // Within a column or back: around the right side.
        let x2 = to.left() + BOX.0;
        format!("M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}", x1 + bend, x2 + bend)
    };
    html! { path.edge d=(curve) marker-end="url(#arrow)" {} }
}

fn edge_label(from: &Node<'_>, to: &Node<'_>, actions: &[&str]) -> Markup {
    let (x1, x2) = if from.column < to.column {
        (from.left() + BOX.0, to.left())
    } else {
        (from.left() + BOX.0, from.left() + BOX.0 + 60)
    };
    let label = match actions {
        [] => String::new(),
        [only] => cut(short_action(only), 22),
        [first, rest @ ..] => format!("{} +{}", cut(short_action(first), 18), rest.len()),
    };
    // Nearer to the start, where the curves of different ends are still apart.
    let (x, y) = (
        u64::midpoint(x1, x2),
        u64::midpoint(from.middle(), to.middle()),
    );
    html! {
        text.action x=(x) y=(y.saturating_sub(5)) text-anchor="middle" {
            title { (actions.join(", ")) }
            (label)
        }
    }
}

/// `GetSecretValue` of `secretsmanager:GetSecretValue`.
fn short_action(action: &str) -> &str {
    action.split_once(':').map_or(action, |(_, name)| name)
}

/// `role` and `bank-x` of a role's ARN; for other ARNs the service and the resource.
fn kind_and_name(text: &str) -> (String, &str) {
    let mut parts = text.splitn(6, ':');
    let (Some("arn"), Some(_), Some(service), Some(_), Some(_), Some(rest)) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return (String::new(), text);
    };
    match rest.split_once([':', '/']) {
        Some((kind, name)) if service == "iam" => {
            (kind.to_owned(), name.rsplit('/').next().unwrap_or(name))
        }
        Some((kind, name)) => (format!("{service} {kind}"), name),
        None => (service.to_owned(), rest),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::{Graph, kind_and_name, mermaid_text};
    use crate::run::{ReachPath, ReachStep};

    fn path(steps: &[(&str, &str, &str)]) -> ReachPath {
        ReachPath {
            rule: "DT-001.copy".to_owned(),
            from: steps
                .first()
                .map(|step| step.0.to_owned())
                .unwrap_or_default(),
            to: steps
                .last()
                .map(|step| step.2.to_owned())
                .unwrap_or_default(),
            steps: steps
                .iter()
                .map(|(from, by, to)| ReachStep {
                    from: (*from).to_owned(),
                    by: (*by).to_owned(),
                    to: (*to).to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_place_stands_right_of_all_that_lead_to_it_and_actions_share_an_arrow() {
        let paths = [
            path(&[("a", "x:Go", "s")]),
            path(&[
                ("a", "sts:AssumeRole", "b"),
                ("b", "x:Go", "s"),
                ("b", "x:Run", "s"),
            ]),
        ];
        let graph = Graph::of(&paths);
        let columns: Vec<(&str, u64)> = graph
            .nodes
            .iter()
            .map(|node| (node.name, node.column))
            .collect();
        assert_eq!(columns, [("a", 0), ("s", 2), ("b", 1)]);
        assert_eq!(graph.edges.len(), 3);
        assert!(graph.mermaid().contains("n2 -->|\"x:Go, x:Run\"| n1"));
    }

    #[test]
    fn loops_and_many_paths_are_bounded() {
        let around = path(&[("a", "x:1", "b"), ("b", "x:2", "a"), ("a", "x:3", "b")]);
        assert_eq!(Graph::of(&[around]).nodes.len(), 2);
        let many: Vec<ReachPath> = (0..1000)
            .map(|at| path(&[(&format!("p{at}"), "x:Go", "s")]))
            .collect();
        let graph = Graph::of(&many);
        assert!(graph.nodes.len() <= super::NODES && graph.paths < 60);
    }

    #[test]
    fn names_are_short_and_mermaid_sees_text_only() {
        assert_eq!(
            kind_and_name("arn:aws:iam::111122223333:role/path/bank-x"),
            ("role".to_owned(), "bank-x")
        );
        assert_eq!(
            kind_and_name("arn:aws:secretsmanager:eu-west-1:111122223333:secret:bank/x-AbCdEf"),
            ("secretsmanager secret".to_owned(), "bank/x-AbCdEf")
        );
        assert_eq!(kind_and_name("anyone"), (String::new(), "anyone"));
        assert_eq!(mermaid_text("a\"]-->b"), "a#34;#93;--#62;b");
    }
}
