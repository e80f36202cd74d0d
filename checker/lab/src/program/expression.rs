//! Expressions: a value of the file with its interpolations and `fn::` calls understood.
//!
//! Input: a [`Node`]. Output: an [`Expr`] in which every part knows its place. The grammar is that of Pulumi YAML:
//! `${name.property[0]["key"]}` inside strings, `$$` for a dollar sign, a string that is one `${..}` keeps the type of
//! what it names, and an object whose only key starts with `fn::` is a call. A call that Pulumi doesn't document is an
//! error here. It evaluates nothing.

use super::error::{Position, Problems};
use super::source::{Kind, Node, Text};

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) at: Position,
    pub(crate) kind: ExprKind,
}

/// The forms of an expression.
#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Expr>),
    Object(Vec<Entry>),
    /// A string that is one `${..}` and nothing else.
    Symbol(Access),
    /// A string with `${..}` in it.
    Interpolation(Vec<Part>),
    Call(Box<Call>),
}

/// A key and value of an object; a key may hold interpolations.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Expr,
    pub(crate) value: Expr,
}

impl Entry {
    /// The key, if it is a plain string.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.key.kind {
            ExprKind::Text(name) => Some(name),
            ExprKind::Null
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::List(_)
            | ExprKind::Object(_)
            | ExprKind::Symbol(_)
            | ExprKind::Interpolation(_)
            | ExprKind::Call(_) => None,
        }
    }
}

/// A piece of an interpolated string.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Text(String),
    Access(Access),
}

/// `${root.step[0]}`.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) at: Position,
    pub(crate) root: String,
    pub(crate) steps: Vec<(Position, Step)>,
}

impl Access {
    /// As the author wrote it, without `${` and `}`.
    pub(crate) fn written(&self) -> String {
        let mut out = self.root.clone();
        for (_, step) in &self.steps {
            match step {
                Step::Name(name) => {
                    out.push('.');
                    out.push_str(name);
                }
                Step::Index(index) => out = format!("{out}[{index}]"),
            }
        }
        out
    }
}

/// One step of a property access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

/// A call of a built-in function.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Invoke(Invoke),
    ToJson(Expr),
    Join(Expr, Expr),
    Split(Expr, Expr),
    Select(Expr, Expr),
    Secret(Expr),
    Unsecret(Expr),
    ToBase64(Expr),
    FromBase64(Expr),
    Sha1(Expr),
    Length(Expr),
    SingleOrNone(Expr),
    ReadFile(Expr),
    FileBase64(Expr),
    FileBase64Sha256(Expr),
    FileAsset(Expr),
    StringAsset(Expr),
    FileArchive(Expr),
    AssetArchive(Vec<Entry>),
}

/// `fn::invoke`: a question to the provider.
#[derive(Debug, Clone)]
pub(crate) struct Invoke {
    pub(crate) function: String,
    pub(crate) function_at: Position,
    pub(crate) arguments: Vec<Entry>,
    pub(crate) arguments_at: Position,
    pub(crate) answer: Option<(Position, String)>,
    pub(crate) provider: Option<Expr>,
    pub(crate) depends_on: Option<Expr>,
}

/// No property access has more steps.
const MAX_STEPS: usize = 32;

/// The built-in functions, as messages list them.
const FUNCTIONS: [&str; 19] = [
    "fn::invoke",
    "fn::toJSON",
    "fn::join",
    "fn::split",
    "fn::select",
    "fn::secret",
    "fn::unsecret",
    "fn::toBase64",
    "fn::fromBase64",
    "fn::sha1",
    "fn::length",
    "fn::singleOrNone",
    "fn::readFile",
    "fn::filebase64",
    "fn::filebase64sha256",
    "fn::fileAsset",
    "fn::stringAsset",
    "fn::fileArchive",
    "fn::assetArchive",
];

/// Understands a value of the file as an expression.
pub(crate) fn parse(node: &Node, problems: &mut Problems) -> Expr {
    let kind = match &node.kind {
        Kind::Null => ExprKind::Null,
        Kind::Bool(value) => ExprKind::Bool(*value),
        Kind::Number(value) => ExprKind::Number(*value),
        Kind::Text(text) => interpolation(text, problems),
        Kind::List(items) => {
            ExprKind::List(items.iter().map(|item| parse(item, problems)).collect())
        }
        Kind::Object(_) => return object(node, problems),
    };
    Expr { at: node.at, kind }
}

/// The entries of an object, or an error that names `what` was expected to be one.
pub(crate) fn entries(node: &Node, what: &str, problems: &mut Problems) -> Vec<Entry> {
    match &node.kind {
        Kind::Object(entries) => entries
            .iter()
            .map(|(key, value)| Entry {
                key: Expr {
                    at: key.at,
                    kind: interpolation(&key.name, problems),
                },
                value: parse(value, problems),
            })
            .collect(),
        Kind::Null => Vec::new(),
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => {
            problems.push(
                node.at,
                format!("{what} must be an object, not {}", node.describe()),
            );
            Vec::new()
        }
    }
}

fn object(node: &Node, problems: &mut Problems) -> Expr {
    if let Kind::Object(found) = &node.kind {
        let call = found.iter().find(|(key, _)| is_call(&key.name.value));
        if let Some((key, value)) = call {
            if found.len() > 1 {
                problems.push(
                    key.at,
                    format!("`{}` must be the only key of its object", key.name.value),
                );
            }
            return call_of(node.at, &key.name.value, key.at, value, problems);
        }
    }
    Expr {
        at: node.at,
        kind: ExprKind::Object(entries(node, "this", problems)),
    }
}

fn is_call(key: &str) -> bool {
    key.get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("fn::"))
}

fn call_of(
    at: Position,
    name: &str,
    name_at: Position,
    value: &Node,
    problems: &mut Problems,
) -> Expr {
    let short = name.get(4..).unwrap_or_default();
    let call = match short.to_ascii_lowercase().as_str() {
        "invoke" => invoke(value, problems).map(Call::Invoke),
        "tojson" => Some(Call::ToJson(parse(value, problems))),
        "join" => pair(name, value, problems).map(|(a, b)| Call::Join(a, b)),
        "split" => pair(name, value, problems).map(|(a, b)| Call::Split(a, b)),
        "select" => pair(name, value, problems).map(|(a, b)| Call::Select(a, b)),
        "secret" => Some(Call::Secret(parse(value, problems))),
        "unsecret" => Some(Call::Unsecret(parse(value, problems))),
        "tobase64" => Some(Call::ToBase64(parse(value, problems))),
        "frombase64" => Some(Call::FromBase64(parse(value, problems))),
        "sha1" => Some(Call::Sha1(parse(value, problems))),
        "length" => Some(Call::Length(parse(value, problems))),
        "singleornone" => Some(Call::SingleOrNone(parse(value, problems))),
        "readfile" => Some(Call::ReadFile(parse(value, problems))),
        "filebase64" => Some(Call::FileBase64(parse(value, problems))),
        "filebase64sha256" => Some(Call::FileBase64Sha256(parse(value, problems))),
        "fileasset" => Some(Call::FileAsset(parse(value, problems))),
        "stringasset" => Some(Call::StringAsset(parse(value, problems))),
        "filearchive" => Some(Call::FileArchive(parse(value, problems))),
        "assetarchive" => Some(Call::AssetArchive(entries(
            value,
            "the argument of `fn::assetArchive`",
            problems,
        ))),
        // The short form of an invoke: `fn::aws:ssm:getParameter: {..}`.
        _ if short.contains(':') => Some(Call::Invoke(Invoke {
            function: short.to_owned(),
            function_at: name_at.forward(4),
            arguments: entries(value, "the arguments of a function", problems),
            arguments_at: value.at,
            answer: None,
            provider: None,
            depends_on: None,
        })),
        _ => {
            problems.push_unknown(
                name_at,
                format!("`{name}` isn't a function that this evaluator knows"),
                name,
                FUNCTIONS,
            );
            None
        }
    };
    Expr {
        at,
        kind: call.map_or(ExprKind::Null, |call| ExprKind::Call(Box::new(call))),
    }
}

fn pair(name: &str, value: &Node, problems: &mut Problems) -> Option<(Expr, Expr)> {
    if let Kind::List(items) = &value.kind
        && let [first, second] = items.as_slice()
    {
        return Some((parse(first, problems), parse(second, problems)));
    }
    problems.push(
        value.at,
        format!("the argument of `{name}` must be a list of two values"),
    );
    None
}

fn invoke(value: &Node, problems: &mut Problems) -> Option<Invoke> {
    let Kind::Object(found) = &value.kind else {
        problems.push(
            value.at,
            "the argument of `fn::invoke` must be an object with `function`, `arguments` and `return`",
        );
        return None;
    };
    let mut function = None;
    let mut arguments = (value.at, Vec::new());
    let mut answer = None;
    let mut provider = None;
    let mut depends_on = None;
    for (key, value) in found {
        match key.name.value.to_ascii_lowercase().as_str() {
            "function" => function = plain(value, "the function's name", problems),
            "arguments" => {
                arguments = (
                    value.at,
                    entries(value, "the function's arguments", problems),
                );
            }
            "return" => answer = plain(value, "`return`", problems),
            "options" => {
                for (key, value) in named(value, "the function's options", problems) {
                    match key.name.value.as_str() {
                        "provider" => provider = Some(parse(value, problems)),
                        "dependsOn" => depends_on = Some(parse(value, problems)),
                        "version" => {}
                        other => problems.push_unknown(
                            key.at,
                            format!("`{other}` isn't an option of `fn::invoke` that this evaluator knows"),
                            other,
                            ["provider", "dependsOn", "version"],
                        ),
                    }
                }
            }
            _ => problems.push_unknown(
                key.at,
                format!("`{}` isn't a property of `fn::invoke`", key.name.value),
                &key.name.value,
                ["function", "arguments", "return", "options"],
            ),
        }
    }
    let Some((function_at, function)) = function else {
        problems.push(value.at, "`fn::invoke` needs `function`");
        return None;
    };
    Some(Invoke {
        function,
        function_at,
        arguments: arguments.1,
        arguments_at: arguments.0,
        answer,
        provider,
        depends_on,
    })
}

/// The keys and values of an object that isn't an expression itself.
pub(crate) fn named<'a>(
    node: &'a Node,
    what: &str,
    problems: &mut Problems,
) -> &'a [(super::source::Key, Node)] {
    match &node.kind {
        Kind::Object(entries) => entries,
        Kind::Null => &[],
        Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => {
            problems.push(
                node.at,
                format!("{what} must be an object, not {}", node.describe()),
            );
            &[]
        }
    }
}

/// A string without interpolations.
pub(crate) fn plain(
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> Option<(Position, String)> {
    match &node.kind {
        Kind::Text(text) if !text.value.contains("${") => Some((node.at, text.value.clone())),
        Kind::Text(_)
        | Kind::Null
        | Kind::Bool(_)
        | Kind::Number(_)
        | Kind::List(_)
        | Kind::Object(_) => {
            problems.push(node.at, format!("{what} must be a plain string"));
            None
        }
    }
}

/// Splits a string at its `${..}`.
fn interpolation(text: &Text, problems: &mut Problems) -> ExprKind {
    let mut scanner = Scanner {
        chars: text.value.chars().collect(),
        at: 0,
        text,
    };
    let mut parts = Vec::new();
    let mut plain = String::new();
    while let Some(c) = scanner.next() {
        if c != '$' {
            plain.push(c);
        } else if scanner.take('$') {
            plain.push('$');
        } else if scanner.take('{') {
            match scanner.access() {
                Ok(access) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Access(access));
                }
                Err((at, message)) => {
                    problems.push_with_help(at, message, "write a literal `$` as `$$`");
                    return ExprKind::Text(text.value.clone());
                }
            }
        } else {
            plain.push(c);
        }
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    let mut parts = parts.into_iter();
    match (parts.next(), parts.next()) {
        (None, _) => ExprKind::Text(String::new()),
        (Some(Part::Text(text)), None) => ExprKind::Text(text),
        (Some(Part::Access(access)), None) => ExprKind::Symbol(access),
        (Some(first), Some(second)) => {
            ExprKind::Interpolation([first, second].into_iter().chain(parts).collect())
        }
    }
}

struct Scanner<'a> {
    chars: Vec<char>,
    at: usize,
    text: &'a Text,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn here(&self) -> Position {
        self.text.place(self.at)
    }

    /// The rest of a property access, up to and with its `}`.
    fn access(&mut self) -> Result<Access, (Position, String)> {
        let start = self.text.place(self.at.saturating_sub(2));
        let mut root: Option<String> = None;
        let mut steps: Vec<(Position, Step)> = Vec::new();
        loop {
            let here = self.here();
            let step = match self.peek() {
                None => return Err((start, "`${` without its `}`".to_owned())),
                Some('}') => {
                    self.at += 1;
                    break;
                }
                Some('.') => {
                    self.at += 1;
                    continue;
                }
                Some('[') => {
                    self.at += 1;
                    self.subscript(here)?
                }
                Some(_) => Step::Name(self.name(here)?),
            };
            match (&root, step) {
                (None, Step::Name(name)) => root = Some(name),
                (None, Step::Index(_)) => {
                    return Err((here, "`${..}` must start with a name".to_owned()));
                }
                (Some(_), _) if steps.len() == MAX_STEPS => {
                    return Err((
                        here,
                        format!("a property access of more than {MAX_STEPS} steps"),
                    ));
                }
                (Some(_), step) => steps.push((here, step)),
            }
        }
        match root {
            Some(root) => Ok(Access {
                at: start,
                root,
                steps,
            }),
            None => Err((start, "`${}` names nothing".to_owned())),
        }
    }

    fn name(&mut self, here: Position) -> Result<String, (Position, String)> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            if matches!(c, '.' | '[' | '}') {
                break;
            }
            if c.is_whitespace() || matches!(c, '$' | '{' | '"' | '\'' | '(' | ')') {
                return Err((
                    here,
                    "a property access has only names, `.name`, `[0]` and `[\"key\"]`".to_owned(),
                ));
            }
            name.push(c);
            self.at += 1;
        }
        Ok(name)
    }

    fn subscript(&mut self, here: Position) -> Result<Step, (Position, String)> {
        let step = if self.take('"') {
            let mut key = String::new();
            loop {
                match self.next() {
                    None => return Err((here, "`[\"` without its closing quote".to_owned())),
                    Some('"') => break,
                    Some('\\') if self.take('"') => key.push('"'),
                    Some(c) => key.push(c),
                }
            }
            Step::Name(key)
        } else {
            let mut digits = String::new();
            while let Some(c) = self.peek().filter(|c| !matches!(c, ']' | '}')) {
                digits.push(c);
                self.at += 1;
            }
            match digits.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => return Err((here, format!("`[{digits}]` isn't a list index"))),
            }
        };
        if self.take(']') {
            Ok(step)
        } else {
            Err((here, "`[` without its `]`".to_owned()))
        }
    }
}
