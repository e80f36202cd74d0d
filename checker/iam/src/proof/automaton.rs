//! The product of languages, explored breadth first.
//!
//! In: languages, some in groups of which at least one must accept. Out: for every combination of languages that
//! some text can satisfy together, one shortest text ([`Explored`]). A state is the set of positions reached in
//! every language; a position from which everything is also reachable through a later star is dropped, so that the number
//! of states stays near the sum of the lengths. Of the characters only those that some language asks for next are
//! tried, and one stranger for each set that the languages distinguish, which is exact.
//! At the cap the exploration says so and never claims to be complete.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::language::{Language, Set, Step};

/// A place in a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Position {
    language: u32,
    step: u32,
}

/// The result of an exploration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Explored {
    /// One text for each combination.
    pub(crate) texts: Vec<String>,
    /// Whether every combination was found.
    pub(crate) complete: bool,
}

/// Languages and what must hold of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Product {
    languages: Vec<Language>,
    known: HashMap<Language, u32>,
    /// Of each group at least one language must accept.
    groups: Vec<Vec<u32>>,
}

impl Product {
    /// Adds a language that only distinguishes texts.
    pub(crate) fn distinguish(&mut self, language: Language) -> u32 {
        if let Some(known) = self.known.get(&language) {
            return *known;
        }
        let number = u32::try_from(self.languages.len()).unwrap_or(u32::MAX);
        self.known.insert(language.clone(), number);
        self.languages.push(language);
        number
    }

    /// Demands that one of the languages accepts.
    pub(crate) fn demand(&mut self, languages: impl IntoIterator<Item = Language>) {
        let mut group: Vec<u32> = languages
            .into_iter()
            .map(|language| self.distinguish(language))
            .collect();
        group.sort_unstable();
        group.dedup();
        self.groups.push(group);
    }

    /// Adds a language that only distinguishes texts, unless the demands already exclude all of its texts.
    pub(crate) fn distinguish_if_relevant(&mut self, language: Language) {
        let near = |number: &u32| {
            usize::try_from(*number)
                .ok()
                .and_then(|at| self.languages.get(at))
                .is_none_or(|other| !language.is_apart_from(other))
        };
        if self.groups.iter().all(|group| group.iter().any(near)) {
            self.distinguish(language);
        }
    }

    /// Explores at most `cap` states.
    pub(crate) fn explore(&self, cap: usize) -> Explored {
        let mut walk = Walk {
            product: self,
            seen: HashSet::new(),
            trail: Vec::new(),
            found: HashSet::new(),
            explored: Explored::default(),
        };
        walk.run(cap);
        walk.explored
    }

    fn step(&self, position: Position) -> Option<Step> {
        let language = self
            .languages
            .get(usize::try_from(position.language).ok()?)?;
        language
            .steps
            .get(usize::try_from(position.step).ok()?)
            .copied()
    }
}

/// A state with the way that led to it.
struct Visited {
    positions: Vec<Position>,
    from: Option<(usize, char)>,
}

struct Walk<'a> {
    product: &'a Product,
    seen: HashSet<Vec<Position>>,
    trail: Vec<Visited>,
    found: HashSet<Vec<u32>>,
    explored: Explored,
}

impl Walk<'_> {
    fn run(&mut self, cap: usize) {
        let mut start = Vec::new();
        for number in 0..self.product.languages.len() {
            let language = u32::try_from(number).unwrap_or(u32::MAX);
            self.reach(Position { language, step: 0 }, &mut start);
        }
        self.visit(start, None);
        let mut at = 0;
        while let Some(positions) = self.trail.get(at).map(|visited| visited.positions.clone()) {
            if self.trail.len() > cap {
                return;
            }
            for character in self.alphabet(&positions) {
                let mut next = Vec::with_capacity(positions.len());
                for position in &positions {
                    let Some(step) = self.product.step(*position) else {
                        continue;
                    };
                    if !step.set.has(character) {
                        continue;
                    }
                    let to = if step.many {
                        position.step
                    } else {
                        position.step + 1
                    };
                    self.reach(
                        Position {
                            language: position.language,
                            step: to,
                        },
                        &mut next,
                    );
                }
                self.visit(next, Some((at, character)));
            }
            at += 1;
        }
        self.explored.complete = true;
    }

    /// Adds a position and those that follow it without a character.
    fn reach(&self, position: Position, into: &mut Vec<Position>) {
        let mut at = position;
        into.push(at);
        while self.product.step(at).is_some_and(|step| step.many) {
            at.step += 1;
            into.push(at);
        }
    }

    fn visit(&mut self, mut positions: Vec<Position>, from: Option<(usize, char)>) {
        positions.sort_unstable();
        positions.dedup();
        self.drop_subsumed(&mut positions);
        if !self.groups_alive(&positions) || self.seen.contains(&positions) {
            return;
        }
        self.seen.insert(positions.clone());
        let accepting: Vec<u32> = positions
            .iter()
            .filter(|position| self.product.step(**position).is_none())
            .map(|position| position.language)
            .collect();
        let at = self.trail.len();
        self.trail.push(Visited { positions, from });
        let demanded = self.product.groups.iter().all(|group| {
            group
                .iter()
                .any(|language| accepting.binary_search(language).is_ok())
        });
        if demanded && self.found.insert(accepting) {
            self.explored.texts.push(self.text(at));
        }
    }

    /// A star over everything (or over all but colons, within a segment) accepts whatever an earlier place of
    /// the same language accepts, because that place has to pass the star too.
    fn drop_subsumed(&self, positions: &mut Vec<Position>) {
        let mut last_star: HashMap<u32, u32> = HashMap::new();
        for position in positions.iter() {
            if self
                .product
                .step(*position)
                .is_some_and(|step| step.many && matches!(step.set, Set::Any | Set::NotColon))
            {
                last_star.insert(position.language, position.step);
            }
        }
        if !last_star.is_empty() {
            positions.retain(|position| {
                last_star
                    .get(&position.language)
                    .is_none_or(|star| position.step >= *star)
            });
        }
    }

    fn groups_alive(&self, positions: &[Position]) -> bool {
        self.product.groups.iter().all(|group| {
            group.iter().any(|language| {
                let at = positions.partition_point(|position| position.language < *language);
                positions
                    .get(at)
                    .is_some_and(|position| position.language == *language)
            })
        })
    }

    /// Characters worth trying: those asked for, and strangers.
    fn alphabet(&self, positions: &[Position]) -> Vec<char> {
        let mut asked = BTreeSet::new();
        let (mut digits, mut names, mut segments, mut anything) = (false, false, false, false);
        for step in positions
            .iter()
            .filter_map(|position| self.product.step(*position))
        {
            match step.set {
                Set::Is(own) => {
                    asked.insert(own);
                }
                Set::IgnoringCase(own) => {
                    asked.extend(own.to_uppercase().filter(|upper| step.set.has(*upper)));
                    asked.insert(own);
                }
                Set::Digit => digits = true,
                Set::Name => names = true,
                Set::NotColon => segments = true,
                Set::Any => anything = true,
            }
        }
        let mut strangers = Vec::new();
        let mut stranger = |pool: &str| {
            strangers.extend(pool.chars().find(|character| !asked.contains(character)))
        };
        if digits || names || segments || anything {
            // Every class that a step here tells from another gets a stranger of its own.
            if names || segments || anything {
                stranger("xyzabcdefghijklmnopqrstuvw_-.=@+/XYZABCDEFGHIJKLMNOPQRSTUVW");
            }
            if digits {
                stranger("1234567890");
            }
            if names && (segments || anything) {
                stranger("~ !#%^&()[]{}|<>,;'`\u{e9}\u{4e00}");
            }
            if anything && segments {
                stranger(":");
            }
        }
        strangers.extend(asked);
        strangers
    }

    fn text(&self, at: usize) -> String {
        let mut characters = Vec::new();
        let mut next = self.trail.get(at);
        while let Some((from, character)) = next.and_then(|visited| visited.from) {
            characters.push(character);
            next = self.trail.get(from);
        }
        characters.iter().rev().collect()
    }
}
