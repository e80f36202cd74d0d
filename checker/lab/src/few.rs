//! A map for what has one to a few entries: a sorted list without spare room.
//!
//! It has the order of a `BTreeMap`, whose smallest node has room for eleven entries. Every change moves what stands
//! behind it, so it is not for what grows long.

use std::borrow::Borrow;

/// A map of a few entries, in order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Few<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Few<K, V> {
    /// The value of a key.
    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// A key as it is kept, and its value.
    pub(crate) fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.0.get(at).map(pair)
    }

    /// The value of a key, to be changed.
    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is such a key.
    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// Adds an entry, or replaces the value of a known key; answers the value that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => {
                let (_, held) = self.0.get_mut(at)?;
                Some(std::mem::replace(held, value))
            }
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes an entry away.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.find(key).ok()?;
        let (_, value) = self.0.remove(at);
        self.0.shrink_to_fit();
        Some(value)
    }

    /// Keeps the entries that `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
        self.0.shrink_to_fit();
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries, in order of their keys.
    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        self.0.iter().map(pair)
    }

    /// The keys, in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values, in order of their keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(held, _)| held.borrow().cmp(key))
    }
}

fn pair<K, V>(entry: &(K, V)) -> (&K, &V) {
    (&entry.0, &entry.1)
}

/// The entries of a [`Few`].
pub(crate) type Iter<'a, K, V> =
    std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Extend<(K, V)> for Few<K, V> {
    fn extend<T: IntoIterator<Item = (K, V)>>(&mut self, entries: T) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Few<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        let entries = entries.into_iter();
        let mut few = Self(Vec::with_capacity(entries.size_hint().0));
        few.extend(entries);
        few.0.shrink_to_fit();
        few
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a Few<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for Few<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::Few;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Change(u8, u8),
        Retain(u8),
        Extend(Vec<(u8, u8)>),
        Rebuild,
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u8..12;
        prop_oneof![
            (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            key.clone().prop_map(Step::Remove),
            (key.clone(), any::<u8>()).prop_map(|(key, value)| Step::Change(key, value)),
            any::<u8>().prop_map(Step::Retain),
            proptest::collection::vec((key, any::<u8>()), 0..4).prop_map(Step::Extend),
            Just(Step::Rebuild),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_btree_map_without_spare_room(
            steps in proptest::collection::vec(step(), 0..40),
        ) {
            let mut few: Few<u8, u8> = Few::default();
            let mut map: BTreeMap<u8, u8> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        assert_eq!(few.insert(key, value), map.insert(key, value));
                    }
                    Step::Remove(key) => assert_eq!(few.remove(&key), map.remove(&key)),
                    Step::Change(key, value) => {
                        assert_eq!(few.get_mut(&key), map.get_mut(&key));
                        few.get_mut(&key).into_iter().for_each(|held| *held = value);
                        map.get_mut(&key).into_iter().for_each(|held| *held = value);
                    }
                    Step::Retain(above) => {
                        few.retain(|_, value| *value > above);
                        map.retain(|_, value| *value > above);
                    }
                    Step::Extend(entries) => {
                        few.extend(entries.clone());
                        map.extend(entries);
                    }
                    Step::Rebuild => {
                        few = few.into_iter().rev().collect();
                        for value in few.values_mut().chain(map.values_mut()) {
                            *value = value.wrapping_add(1);
                        }
                    }
                }
                assert!(few.iter().eq(map.iter()));
                assert!((&few).into_iter().eq(&map));
                assert!(few.keys().eq(map.keys()));
                assert!(few.values().eq(map.values()));
                assert_eq!((few.len(), few.is_empty()), (map.len(), map.is_empty()));
                assert_eq!(few.0.capacity(), few.0.len());
                for key in 0..12 {
                    assert_eq!(few.get(&key), map.get(&key));
                    assert_eq!(few.get_key_value(&key), map.get_key_value(&key));
                    assert_eq!(few.contains_key(&key), map.contains_key(&key));
                }
            }
        }
    }

    #[test]
    fn what_was_there_is_answered() {
        let mut few: Few<Box<str>, u8> = Few::default();
        assert_eq!(few.insert("b".into(), 2), None);
        assert_eq!(few.insert("a".into(), 1), None);
        assert_eq!(few.insert("b".into(), 3), Some(2));
        assert_eq!(few.remove("c"), None);
        assert_eq!(few.remove("a"), Some(1));
        assert_eq!(few.get("b"), Some(&3));
    }
}
