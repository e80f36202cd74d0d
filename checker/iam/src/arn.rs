//! ARNs of requests and ARN patterns of policies, compared segment by segment.
//!
//! In: `arn:partition:service:region:account:resource`, of which the sixth segment keeps its colons.
//! Out: whether a pattern matches. A wildcard of the first five segments never consumes a colon, which is how
//! AWS's own no-new-access samples are decided; a short pattern is padded with `*` (IAM user guide, "Resource":
//! "AWS automatically completes the ARN"). In a resource policy only a short pattern that ends in `*` is padded.
//! Does not check that an ARN names something that can exist.

use crate::glob::{Glob, Token, walk};

/// How many segments an ARN has.
const SEGMENTS: usize = 6;

/// The resource of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    text: Box<str>,
    /// Where the five dividing colons stand; `None` when the text is no ARN (`*` for actions without a resource).
    colons: Option<[usize; 5]>,
}

impl Resource {
    /// Reads a resource: an ARN, or `*` for an action that has no resource.
    pub fn new(text: &str) -> Self {
        let places: Vec<usize> = text.match_indices(':').map(|(at, _)| at).take(5).collect();
        let colons = places.try_into().ok().filter(|_| text.starts_with("arn:"));
        Self {
            text: text.into(),
            colons,
        }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The account in the ARN, if it is a twelve-digit one.
    pub fn account(&self) -> Option<&str> {
        let [_, _, _, account, _] = self.colons?;
        let [_, _, _, _, end] = self.colons?;
        self.text
            .get(account + 1..end)
            .filter(|text| is_account(text))
    }

    /// The service segment.
    pub fn service(&self) -> Option<&str> {
        let [_, service, region, _, _] = self.colons?;
        self.text.get(service + 1..region)
    }

    /// The sixth segment.
    pub fn local(&self) -> Option<&str> {
        let [_, _, _, _, end] = self.colons?;
        self.text.get(end + 1..)
    }

    fn segments(&self) -> Option<[&str; SEGMENTS]> {
        let [partition, service, region, account, local] = self.colons?;
        let between = |from: usize, to: usize| self.text.get(from + 1..to);
        Some([
            self.text.get(..partition)?,
            between(partition, service)?,
            between(service, region)?,
            between(region, account)?,
            between(account, local)?,
            self.text.get(local + 1..)?,
        ])
    }
}

/// Whether the text is a twelve-digit account number.
pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What happens to a pattern with fewer than six segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    /// Missing segments become `*`.
    Pad,
    /// Missing segments become `*` only where the pattern ends in `*`; otherwise it matches nothing.
    PadAfterStar,
}

/// A compiled ARN pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ArnPattern {
    /// `*`: every resource, the resource `*` of actions without one included.
    All,
    /// Can't match any ARN.
    Nothing,
    /// One glob a segment.
    Segments(Box<[Glob; SEGMENTS]>),
}

impl ArnPattern {
    /// Compiles tokens.
    pub(crate) fn new(tokens: &[Token], short: Short) -> Self {
        match split(tokens, short) {
            Split::All => Self::All,
            Split::Nothing => Self::Nothing,
            Split::Segments(segments) => Self::Segments(Box::new(
                segments.each_ref().map(|segment| Glob::new(segment)),
            )),
        }
    }

    /// Whether `resource` is in the pattern's language.
    pub(crate) fn matches(&self, resource: &Resource) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Segments(patterns) => {
                let [.., local] = patterns.as_ref();
                // The last segment differs most often, so it is compared first.
                resource.local().is_some_and(|text| local.matches(text))
                    && resource.segments().is_some_and(|segments| {
                        patterns
                            .iter()
                            .zip(segments)
                            .take(SEGMENTS - 1)
                            .all(|(pattern, segment)| pattern.matches(segment))
                    })
            }
        }
    }
}

/// Whether the resource is in the language of tokens that are compiled for this one question, without building a pattern.
pub(crate) fn matches_once(tokens: &[Token], short: Short, resource: &Resource) -> bool {
    if !tokens.is_empty() && tokens.iter().all(|token| *token == Token::Many) {
        return true;
    }
    let Some(segments) = resource.segments() else {
        return false;
    };
    let own_colon = tokens.contains(&Token::Literal(':'));
    let divides = |token: &Token| {
        *token == Token::Literal(':') || (!own_colon && *token == Token::Substituted(':'))
    };
    let mut pieces = tokens.splitn(SEGMENTS, divides);
    for segment in segments {
        match pieces.next() {
            Some(piece) if walk(piece, segment) => {}
            Some(_) => return false,
            None => return short == Short::Pad || tokens.last() == Some(&Token::Many),
        }
    }
    true
}

/// A pattern taken apart; the proof builds its automata from the same pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Split {
    All,
    Nothing,
    Segments([Vec<Token>; SEGMENTS]),
}

/// Takes a pattern apart at its first five colons.
pub(crate) fn split(tokens: &[Token], short: Short) -> Split {
    if !tokens.is_empty() && tokens.iter().all(|token| *token == Token::Many) {
        return Split::All;
    }
    let own_colon = tokens.contains(&Token::Literal(':'));
    let divides = |token: &Token| {
        *token == Token::Literal(':') || (!own_colon && *token == Token::Substituted(':'))
    };
    let mut pieces: Vec<Vec<Token>> = tokens
        .splitn(SEGMENTS, divides)
        .map(<[Token]>::to_vec)
        .collect();
    if pieces.len() < SEGMENTS
        && short == Short::PadAfterStar
        && tokens.last() != Some(&Token::Many)
    {
        return Split::Nothing;
    }
    pieces.resize(SEGMENTS, vec![Token::Many]);
    match <[Vec<Token>; SEGMENTS]>::try_from(pieces) {
        Ok(segments) if Glob::new(&segments[0]).matches("arn") => Split::Segments(segments),
        Ok(_) | Err(_) => Split::Nothing,
    }
}
