//! The product of languages, explored breadth first.
//!
//! In: a universe of languages, of which a text must be in one; groups of languages of which at least one must
//! accept; and languages that only tell texts apart. Out: for every combination of languages that some text can
//! satisfy together, one shortest text ([`Explored`]).
//!
//! A state is one place in the universe and the set of places reached in every other language. Places are dropped
//! that can't matter: one from which everything is also reachable through a later star, and one whose remaining length
//! can't equal the remaining length of the universe's place. So the number of states stays near the sum of the lengths.
//! Of the characters only those that some language asks for next are tried, and one stranger for each set that the
//! languages distinguish, which is exact. At the cap the exploration stops and says that it is not complete.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use super::language::{Language, Set, Step};

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
    universe: Vec<Language>,
    languages: Vec<Language>,
    known: HashSet<Language>,
    /// Of each group at least one language must accept.
    groups: Vec<Vec<Language>>,
}

impl Product {
    /// A product over texts of the universe.
    pub(crate) fn over(universe: Vec<Language>) -> Self {
        Self {
            universe,
            ..Self::default()
        }
    }

    /// Adds a language that only distinguishes texts.
    pub(crate) fn distinguish(&mut self, language: Language) {
        if self.known.insert(language.clone()) {
            self.languages.push(language);
        }
    }

    /// Adds a language that only distinguishes texts, unless the demands already exclude all of its texts.
    pub(crate) fn distinguish_if_relevant(&mut self, language: Language) {
        let near = |other: &Language| !language.is_apart_from(other);
        if self.universe.iter().any(near) && self.groups.iter().all(|group| group.iter().any(near))
        {
            self.distinguish(language);
        }
    }

    /// Demands that one of the languages accepts.
    pub(crate) fn demand(&mut self, languages: impl IntoIterator<Item = Language>) {
        let near = |language: &Language, group: &[Language]| {
            group.iter().any(|other| !language.is_apart_from(other))
        };
        let mut group: Vec<Language> = Vec::new();
        for language in languages {
            if near(&language, &self.universe)
                && self.groups.iter().all(|group| near(&language, group))
            {
                self.distinguish(language.clone());
                group.push(language);
            }
        }
        self.groups.push(group);
    }

    /// Explores at most `cap` states.
    pub(crate) fn explore(&self, cap: usize) -> Explored {
        let mut walk = Walk::new(self);
        walk.run(cap);
        walk.explored
    }
}

/// A place in a language: its number in the table of all places.
type Place = u32;

/// What is known about a place.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// `None` at the end of the language.
    step: Option<Step>,
    language: u32,
    /// The fewest characters that still have to come.
    least: u32,
    /// Whether any number of characters may come.
    endless: bool,
}

#[derive(Debug, Default)]
struct Table {
    places: Vec<Known>,
}

impl Table {
    /// Adds a language and returns its first place.
    fn add(&mut self, language: &Language, number: u32) -> Place {
        let first = self.next_place();
        let mut least = u32::try_from(language.steps.iter().filter(|step| !step.many).count())
            .unwrap_or(u32::MAX);
        let mut stars = language.steps.iter().filter(|step| step.many).count();
        for step in &language.steps {
            self.places.push(Known {
                step: Some(*step),
                language: number,
                least,
                endless: stars > 0,
            });
            if step.many {
                stars = stars.saturating_sub(1);
            } else {
                least = least.saturating_sub(1);
            }
        }
        self.places.push(Known {
            step: None,
            language: number,
            least: 0,
            endless: false,
        });
        first
    }

    fn next_place(&self) -> Place {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    fn known(&self, place: Place) -> Option<&Known> {
        self.places.get(usize::try_from(place).ok()?)
    }

    fn step(&self, place: Place) -> Option<Step> {
        self.known(place)?.step
    }

    /// Whether the two places can end on the same text.
    fn fits(&self, place: Place, universe: Place) -> bool {
        match (self.known(place), self.known(universe)) {
            (Some(own), Some(other)) => {
                (own.endless || own.least >= other.least)
                    && (other.endless || other.least >= own.least)
            }
            _ => false,
        }
    }

    /// The place and those that follow it without a character.
    fn closure(&self, place: Place) -> impl Iterator<Item = Place> {
        let mut last = place;
        while self.step(last).is_some_and(|step| step.many) {
            last = last.saturating_add(1);
        }
        place..=last
    }

    /// Where a character leads.
    fn after(&self, place: Place, character: char) -> Option<Place> {
        let step = self.step(place)?;
        step.set.has(character).then(|| {
            if step.many {
                place
            } else {
                place.saturating_add(1)
            }
        })
    }
}

/// A state with the way that led to it: the universe's place first, then the others, sorted.
struct Visited {
    places: Vec<Place>,
    from: Option<(usize, char)>,
}

struct Walk {
    table: Table,
    /// First places of the universe.
    universe: Vec<Place>,
    /// First places of the other languages.
    starts: Vec<Place>,
    /// Of each group the languages' numbers, sorted.
    groups: Vec<Vec<u32>>,
    seen: HashSet<Vec<Place>, BuildHasherDefault<Mixer>>,
    trail: Vec<Visited>,
    found: HashSet<Vec<u32>>,
    explored: Explored,
}

impl Walk {
    fn new(product: &Product) -> Self {
        let mut table = Table::default();
        let universe = product
            .universe
            .iter()
            .map(|language| table.add(language, u32::MAX))
            .collect();
        let mut numbers = HashMap::new();
        let mut starts = Vec::new();
        for (language, number) in product.languages.iter().zip(0_u32..) {
            starts.push(table.add(language, number));
            numbers.insert(language, number);
        }
        let number = |group: &Vec<Language>| {
            let mut group: Vec<u32> = group
                .iter()
                .filter_map(|language| numbers.get(language).copied())
                .collect();
            group.sort_unstable();
            group.dedup();
            group
        };
        let groups = product.groups.iter().map(number).collect();
        Self {
            table,
            universe,
            starts,
            groups,
            seen: HashSet::default(),
            trail: Vec::new(),
            found: HashSet::new(),
            explored: Explored::default(),
        }
    }

    fn run(&mut self, cap: usize) {
        let starts: Vec<Place> = self
            .starts
            .iter()
            .flat_map(|start| self.table.closure(*start))
            .collect();
        let universe: Vec<Place> = self
            .universe
            .iter()
            .flat_map(|start| self.table.closure(*start))
            .collect();
        for place in universe {
            self.visit(place, &starts, None);
        }
        let mut at = 0;
        while let Some(visited) = self.trail.get_mut(at) {
            let places = std::mem::take(&mut visited.places);
            if self.trail.len() > cap {
                return;
            }
            if let Some((universe, others)) = places.split_first() {
                for character in self.alphabet(*universe, others) {
                    let Some(to) = self.table.after(*universe, character) else {
                        continue;
                    };
                    let reached = others
                        .iter()
                        .filter_map(|place| self.table.after(*place, character));
                    let reached: Vec<Place> = reached
                        .flat_map(|place| self.table.closure(place))
                        .collect();
                    let ends: Vec<Place> = self.table.closure(to).collect();
                    for end in ends {
                        self.visit(end, &reached, Some((at, character)));
                    }
                }
            }
            at += 1;
        }
        self.explored.complete = true;
    }

    fn visit(&mut self, universe: Place, reached: &[Place], from: Option<(usize, char)>) {
        let mut places: Vec<Place> = Vec::with_capacity(reached.len() + 1);
        places.extend(
            reached
                .iter()
                .copied()
                .filter(|place| self.table.fits(*place, universe)),
        );
        places.sort_unstable();
        places.dedup();
        self.drop_subsumed(&mut places);
        if !self.groups_alive(&places) {
            return;
        }
        places.insert(0, universe);
        if !self.seen.insert(places.clone()) {
            return;
        }
        let at = self.trail.len();
        let ended = self.table.step(universe).is_none();
        let accepting: Vec<u32> = if ended {
            self.accepting(&places)
        } else {
            Vec::new()
        };
        self.trail.push(Visited { places, from });
        let demanded = ended
            && self.groups.iter().all(|group| {
                group
                    .iter()
                    .any(|language| accepting.binary_search(language).is_ok())
            });
        if demanded && self.found.insert(accepting) {
            self.explored.texts.push(self.text(at));
        }
    }

    fn accepting(&self, places: &[Place]) -> Vec<u32> {
        let ends = places
            .iter()
            .skip(1)
            .filter_map(|place| self.table.known(*place))
            .filter(|known| known.step.is_none());
        ends.map(|known| known.language).collect()
    }

    /// A star over everything (or over all but colons, within a segment) accepts whatever an earlier place of
    /// the same language accepts, because that place has to pass the star too.
    fn drop_subsumed(&self, places: &mut Vec<Place>) {
        let mut kept: Vec<Place> = Vec::with_capacity(places.len());
        let mut starred = None;
        for place in places.iter().rev() {
            let Some(known) = self.table.known(*place) else {
                continue;
            };
            if starred == Some(known.language) {
                continue;
            }
            kept.push(*place);
            if known
                .step
                .is_some_and(|step| step.many && matches!(step.set, Set::Any | Set::NotColon))
            {
                starred = Some(known.language);
            }
        }
        kept.reverse();
        *places = kept;
    }

    fn groups_alive(&self, places: &[Place]) -> bool {
        let languages = || {
            places
                .iter()
                .filter_map(|place| self.table.known(*place))
                .map(|known| known.language)
        };
        self.groups
            .iter()
            .all(|group| languages().any(|language| group.binary_search(&language).is_ok()))
    }

    /// Characters worth trying: those asked for, and strangers. Every class of characters that a step here tells from another
    /// gets a stranger of its own.
    fn alphabet(&self, universe: Place, others: &[Place]) -> Vec<char> {
        let mut asked: Vec<char> = Vec::new();
        let (mut digits, mut words, mut names, mut graphic, mut segments, mut anything) =
            (false, false, false, false, false, false);
        for step in others
            .iter()
            .chain([&universe])
            .filter_map(|place| self.table.step(*place))
        {
            match step.set {
                Set::Is(own) => asked.push(own),
                Set::IgnoringCase(own) => {
                    asked.extend(own.to_uppercase().filter(|upper| step.set.has(*upper)));
                    asked.push(own);
                }
                Set::Digit => digits = true,
                Set::Word => words = true,
                Set::Name => names = true,
                Set::Graphic => graphic = true,
                Set::NotColon => segments = true,
                Set::Any => anything = true,
            }
        }
        asked.sort_unstable();
        asked.dedup();
        let segments = segments || graphic;
        let mut strangers: Vec<char> = Vec::new();
        let unasked = |character: &char| asked.binary_search(character).is_err();
        let stranger = |pool: &str| pool.chars().find(unasked);
        if words || names || segments || anything {
            // Lower case first: actions know no other.
            strangers.extend(stranger("xyzabcdefghijklmnopqrstuvw"));
            if !digits {
                strangers.extend(stranger("1234567890"));
            }
            strangers.extend(stranger("XYZABCDEFGHIJKLMNOPQRSTUVW"));
        }
        if names || segments || anything {
            strangers.extend(stranger("_-.=@+/!,$#"));
        }
        if digits || words || names || segments || anything {
            strangers.extend(stranger("1234567890"));
        }
        if segments || anything {
            strangers.extend(stranger("~%^&()[]{}|<>;'`*?\"\\"));
            strangers.extend(stranger(" \u{e9}\u{4e00}"));
            strangers.extend(('\u{100}'..='\u{ffff}').find(unasked));
        }
        if anything {
            strangers.extend(stranger(":"));
        }
        let class = |character: char| {
            [
                Set::Digit,
                Set::Word,
                Set::Name,
                Set::Graphic,
                Set::NotColon,
            ]
            .map(|set| set.has(character))
        };
        let told_apart = [digits, words, names, graphic, segments];
        let mut classes = HashSet::new();
        // Strangers that no set here tells apart are one.
        strangers.retain(|character| {
            classes.insert(
                class(*character)
                    .iter()
                    .zip(told_apart)
                    .map(|(has, told)| *has && told)
                    .collect::<Vec<_>>(),
            )
        });
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

/// A quick hash for lists of small numbers that nobody outside chooses.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0_u8; 8];
            word.iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(u64::try_from(word).unwrap_or(u64::MAX));
    }
}
