//! The languages that the proof reasons about: strings described by steps.
//!
//! In: patterns of policies and questions, and what is known about the shape of an ARN. Out: [`Language`], a
//! sequence of steps over sets of characters, which `automaton` multiplies. The order of steps is the order of
//! the text, as in a glob; alternatives are several languages.

use crate::arn::{Short, Split, split};
use crate::glob::{Token, tokens};
use crate::value::fold;

/// A set of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Set {
    /// This one.
    Is(char),
    /// This one in either case; folded here.
    IgnoringCase(char),
    /// A decimal digit.
    Digit,
    /// An ASCII letter or digit.
    Word,
    /// What names of AWS resources are made of: letters, digits and `/_+=.@-!,$#`.
    Name,
    /// Printable ASCII without space and colon, of which paths of principals and policies are made. IAM would admit a colon
    /// in a path; nobody uses one, and with it every `*` for an account could be read across it.
    Graphic,
    /// Anything but a colon.
    NotColon,
    /// Anything.
    Any,
}

impl Set {
    /// Whether the character is in the set.
    pub(crate) fn has(self, character: char) -> bool {
        match self {
            Self::Is(own) => own == character,
            Self::IgnoringCase(own) => fold(character) == own,
            Self::Digit => character.is_ascii_digit(),
            Self::Word => character.is_ascii_alphanumeric(),
            Self::Name => character.is_ascii_alphanumeric() || "/_+=.@-!,$#".contains(character),
            Self::Graphic => character.is_ascii_graphic() && character != ':',
            Self::NotColon => character != ':',
            Self::Any => true,
        }
    }
}

/// One step: one character of the set, or any run of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Step {
    pub(crate) set: Set,
    pub(crate) many: bool,
}

/// A sequence of steps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Language {
    pub(crate) steps: Vec<Step>,
}

impl Language {
    /// A wildcard pattern over any text.
    pub(crate) fn glob(tokens: &[Token]) -> Self {
        Self::default().then(tokens, Set::Any)
    }

    /// A literal in either case.
    pub(crate) fn ignoring_case(text: &str) -> Self {
        Self {
            steps: text
                .chars()
                .map(|character| one(Set::IgnoringCase(fold(character))))
                .collect(),
        }
    }

    /// A pattern of an action, both sides lower-cased; `None` where it can't match any.
    pub(crate) fn action(written: &str) -> Option<Self> {
        let lower = written.to_ascii_lowercase();
        match lower.split_once(':') {
            Some((service, name)) => Some(
                Self::default()
                    .then(&tokens(service), Set::NotColon)
                    .text(":")
                    .then(&tokens(name), Set::Any),
            ),
            None if crate::action::is_every(&lower) => Some(Self::glob(&[Token::Many])),
            None => None,
        }
    }

    /// A pattern of a resource under the segment rule; `None` where it can't match any.
    pub(crate) fn resource(tokens: &[Token], short: Short) -> Option<Self> {
        match split(tokens, short) {
            Split::All => Some(Self::glob(&[Token::Many])),
            Split::Nothing => None,
            Split::Segments([partition, service, region, account, owner, local]) => {
                let mut language = Self::default().then(&partition, Set::NotColon).text(":");
                for segment in [service, region, account, owner] {
                    language = language.then(&segment, Set::NotColon).text(":");
                }
                Some(language.then(&local, Set::Any))
            }
        }
    }

    /// A pattern of an ARN in a condition: like a resource, but `*` means any ARN.
    pub(crate) fn arn(tokens: &[Token]) -> Option<Self> {
        match split(tokens, Short::PadAfterStar) {
            Split::All => Self::resource(&crate::glob::tokens("arn:*:*:*:*:*"), Short::Pad),
            Split::Nothing | Split::Segments(_) => Self::resource(tokens, Short::PadAfterStar),
        }
    }

    /// Adds a literal.
    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        self.steps
            .extend(text.chars().map(|character| one(Set::Is(character))));
        self
    }

    /// Adds wildcards over a set, at least `least` characters.
    #[must_use]
    pub(crate) fn some(mut self, set: Set, least: usize) -> Self {
        self.steps.extend(std::iter::repeat_n(one(set), least));
        self.steps.push(Step { set, many: true });
        self
    }

    /// Adds exactly `count` characters of a set.
    #[must_use]
    pub(crate) fn exactly(mut self, set: Set, count: usize) -> Self {
        self.steps.extend(std::iter::repeat_n(one(set), count));
        self
    }

    fn then(mut self, tokens: &[Token], wild: Set) -> Self {
        for token in tokens {
            let step = match token {
                Token::Literal(own) | Token::Substituted(own) => one(Set::Is(*own)),
                Token::One => one(wild),
                Token::Many => Step {
                    set: wild,
                    many: true,
                },
            };
            if !(step.many && self.steps.last() == Some(&step)) {
                self.steps.push(step);
            }
        }
        self
    }

    /// The literal characters before the first wildcard.
    pub(crate) fn literal_prefix(&self) -> impl Iterator<Item = char> {
        self.steps.iter().map_while(|step| match step.set {
            Set::Is(own) if !step.many => Some(own),
            Set::Is(_)
            | Set::IgnoringCase(_)
            | Set::Digit
            | Set::Word
            | Set::Name
            | Set::Graphic
            | Set::NotColon
            | Set::Any => None,
        })
    }

    /// The one text of a language without wildcards.
    pub(crate) fn only(&self) -> Option<String> {
        let text: String = self.literal_prefix().collect();
        (text.chars().count() == self.steps.len()).then_some(text)
    }

    /// Whether the literal beginnings already keep two languages apart.
    pub(crate) fn is_apart_from(&self, other: &Self) -> bool {
        self.literal_prefix()
            .zip(other.literal_prefix())
            .any(|(own, others)| own != others)
    }
}

fn one(set: Set) -> Step {
    Step { set, many: false }
}

/// What any action looks like, lower-cased.
pub(crate) fn any_action() -> Language {
    Language::default()
        .some(Set::Name, 1)
        .text(":")
        .some(Set::Name, 1)
}

/// What any resource looks like: an ARN with an account, without one, or AWS's own; or `*`.
pub(crate) fn any_resource() -> Vec<Language> {
    let head = || {
        Language::default()
            .text("arn:")
            .some(Set::Name, 1)
            .text(":")
            .some(Set::Name, 1)
            .text(":")
            .some(Set::NotColon, 0)
            .text(":")
    };
    vec![
        head().exactly(Set::Digit, 12).text(":").some(Set::Any, 1),
        head().text(":").some(Set::Any, 1),
        head().text("aws:").some(Set::Any, 1),
        Language::default().text("*"),
    ]
}

/// What resources of a service look like, where names can't hold a colon; empty for services not listed.
/// Sources: the naming rules in each service's API reference.
pub(crate) fn resources_of(service: &str) -> Vec<Language> {
    let head = |region: bool| {
        let head = Language::default()
            .text("arn:")
            .some(Set::Name, 1)
            .text(":")
            .text(service)
            .text(":");
        let head = if region {
            head.some(Set::Name, 1)
        } else {
            head
        };
        head.text(":").exactly(Set::Digit, 12).text(":")
    };
    match service {
        // A secret's ARN ends in a hyphen and six characters that Secrets Manager chose.
        "secretsmanager" => vec![
            head(true)
                .text("secret:")
                .some(Set::Name, 1)
                .text("-")
                .exactly(Set::Name, 6),
        ],
        "kms" | "sqs" | "events" | "cloudtrail" => vec![head(true).some(Set::Name, 1)],
        // Automation definitions end in a colon and their version.
        "ssm" => vec![
            head(true).some(Set::Name, 1),
            head(true).some(Set::Name, 1).text(":").some(Set::Name, 1),
        ],
        "iam" => vec![head(false).some(Set::Graphic, 1)],
        "logs" => vec![
            head(true).text("log-group:").some(Set::NotColon, 1),
            head(true)
                .text("log-group:")
                .some(Set::NotColon, 1)
                .text(":*"),
            head(true)
                .text("log-group:")
                .some(Set::NotColon, 1)
                .text(":log-stream:")
                .some(Set::NotColon, 0),
        ],
        // Functions with a qualifier, layers with a version, and whatever else is named in up to five parts.
        "lambda" => (0..5)
            .map(|parts| {
                (0..parts).fold(head(true).some(Set::Name, 1), |language, _| {
                    language.text(":").some(Set::Name, 1)
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// What the ARN of a caller looks like, as `aws:PrincipalArn` gives it.
pub(crate) fn callers() -> Vec<Language> {
    let head = |service: &str| {
        Language::default()
            .text("arn:")
            .some(Set::Name, 1)
            .text(":")
            .text(service)
            .text("::")
            .exactly(Set::Digit, 12)
            .text(":")
    };
    vec![
        head("iam").text("role/").some(Set::Name, 1),
        head("iam").text("user/").some(Set::Name, 1),
        head("iam").text("root"),
        head("sts").text("federated-user/").some(Set::Name, 1),
    ]
}
