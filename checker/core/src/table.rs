//! Long lists of alike objects, written short: what is usual once, and of each row only what is not.
//!
//! `{"usual":{"tags.environment":"dev",..},"rows":[{"arn":"..","created":".."},..]}` stands for a list of objects, each
//! with the usual members that its row does not name. Members of members are named by dotted paths. A member is usual
//! when more than half of the rows have it, so that one list has one text. Read back, the list is what it was.

use std::collections::BTreeMap;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The list in short; as it is where its rows are not alike. It is written straight from the rows.
pub(crate) struct Short<'a>(pub(crate) &'a [Value]);

impl Serialize for Short<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<&Value> = self.0.iter().collect();
        if !alike(&rows) {
            return self.0.serialize(serializer);
        }
        let mut columns = Vec::new();
        split(String::new(), rows, &mut columns);
        let mut usual: Members<'_> = BTreeMap::new();
        let mut short: Vec<Members<'_>> = vec![BTreeMap::new(); self.0.len()];
        for (path, values) in &columns {
            let common = majority(values);
            for (row, value) in short.iter_mut().zip(values) {
                if common != Some(*value) {
                    row.insert(path, value);
                }
            }
            if let Some(common) = common {
                usual.insert(path, common);
            }
        }
        let mut table = serializer.serialize_struct("Table", 2)?;
        table.serialize_field("rows", &short)?;
        table.serialize_field("usual", &usual)?;
        table.end()
    }
}

type Members<'a> = BTreeMap<&'a str, &'a Value>;

/// The list that was written short.
pub(crate) fn unfold(value: Value) -> Result<Vec<Value>, &'static str> {
    let mut table = match value {
        Value::Array(rows) => return Ok(rows),
        Value::Object(table) => table,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err("neither a list nor a table");
        }
    };
    let (Some(Value::Object(usual)), Some(Value::Array(rows)), true) = (
        table.remove("usual"),
        table.remove("rows"),
        table.is_empty(),
    ) else {
        return Err("a table has the members `usual` and `rows`");
    };
    rows.into_iter()
        .map(|row| {
            let Value::Object(row) = row else {
                return Err("a row of a table is an object");
            };
            let mut whole = Map::new();
            for (path, value) in &usual {
                if !row.contains_key(path) {
                    put(&mut whole, path, value.clone())?;
                }
            }
            for (path, value) in row {
                put(&mut whole, &path, value)?;
            }
            Ok(Value::Object(whole))
        })
        .collect()
}

fn put(object: &mut Map<String, Value>, path: &str, value: Value) -> Result<(), &'static str> {
    match path.split_once('.') {
        None => {
            object.insert(path.to_owned(), value);
            Ok(())
        }
        Some((first, rest)) => {
            let inner = object
                .entry(first)
                .or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else {
                return Err("a path of a table leads through something that has no members");
            };
            put(inner, rest, value)
        }
    }
}

/// Whether all are objects with the same members, whose names can stand in a path.
fn alike(values: &[&Value]) -> bool {
    let Some(Value::Object(first)) = values.first() else {
        return false;
    };
    !first.is_empty()
        && first
            .keys()
            .all(|key| !key.is_empty() && !key.contains('.'))
        && values.iter().all(|value| {
            value
                .as_object()
                .is_some_and(|object| object.len() == first.len() && object.keys().eq(first.keys()))
        })
}

fn split<'a>(path: String, values: Vec<&'a Value>, columns: &mut Vec<(String, Vec<&'a Value>)>) {
    if !alike(&values) {
        columns.push((path, values));
        return;
    }
    let keys: Vec<&String> = values
        .first()
        .and_then(|value| value.as_object())
        .map(|object| object.keys().collect())
        .unwrap_or_default();
    for key in keys {
        let inner: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        split(path, inner, columns);
    }
}

/// The value that more than half of the rows have (Boyer and Moore, 1981).
fn majority<'a>(values: &[&'a Value]) -> Option<&'a Value> {
    let mut candidate = None;
    let mut lead = 0_usize;
    for value in values {
        if lead == 0 {
            candidate = Some(*value);
            lead = 1;
        } else if candidate == Some(*value) {
            lead += 1;
        } else {
            lead -= 1;
        }
    }
    let count = values
        .iter()
        .filter(|value| candidate == Some(**value))
        .count();
    candidate.filter(|_| count * 2 > values.len())
}

/// For `#[serde(with = ..)]` on a list: written short where it is long, read in every form. Very long lists are written
/// in parts, so that no memory has to hold all rows as trees of values.
pub(crate) mod list {
    use std::fmt;
    use std::marker::PhantomData;

    use serde::de::{
        DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
    };
    use serde::ser::Error as _;
    use serde::{Deserializer, Serialize, Serializer};
    use serde_json::{Map, Value};

    /// Shorter lists are written as they are.
    const LONG: usize = 200;
    /// The rows of one part.
    const PART: usize = 250;
    /// The member that holds the parts.
    const PARTS: &str = "parts";

    /// Writes it.
    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        rows: &Vec<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if rows.len() < LONG {
            rows.serialize(serializer)
        } else if rows.len() <= PART {
            Part(rows).serialize(serializer)
        } else {
            serializer.collect_map([(PARTS, Parts(rows))])
        }
    }

    struct Parts<'a, T>(&'a [T]);

    impl<T: Serialize> Serialize for Parts<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.chunks(PART).map(Part))
        }
    }

    struct Part<'a, T>(&'a [T]);

    impl<T: Serialize> Serialize for Part<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let rows: Result<Vec<Value>, _> = self.0.iter().map(serde_json::to_value).collect();
            super::Short(&rows.map_err(S::Error::custom)?).serialize(serializer)
        }
    }

    /// Reads it.
    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(Read(PhantomData))
    }

    /// Reads rows, a table or its parts.
    struct Read<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Read<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list, a table or parts of one")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(row) = rows.next_element()? {
                all.push(row);
            }
            Ok(all)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
            let mut table = Map::new();
            while let Some(name) = members.next_key::<String>()? {
                if name == PARTS && table.is_empty() {
                    let rows = members.next_value_seed(ReadParts(PhantomData))?;
                    return match members.next_key::<IgnoredAny>()? {
                        None => Ok(rows),
                        Some(_) => Err(A::Error::custom("parts of a table stand alone")),
                    };
                }
                table.insert(name, members.next_value()?);
            }
            unfolded(Value::Object(table))
        }
    }

    struct ReadParts<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for ReadParts<T> {
        type Value = Vec<T>;

        fn deserialize<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }
    }

    impl<'de, T: DeserializeOwned> Visitor<'de> for ReadParts<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("the parts of a table")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(part) = parts.next_element::<Value>()? {
                all.extend(unfolded::<T, A::Error>(part)?);
            }
            Ok(all)
        }
    }

    fn unfolded<T: DeserializeOwned, E: Error>(table: Value) -> Result<Vec<T>, E> {
        let rows = super::unfold(table).map_err(E::custom)?;
        rows.into_iter()
            .map(|row| serde_json::from_value(row).map_err(E::custom))
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fold(rows: &[Value]) -> Value {
        serde_json::to_value(Short(rows)).unwrap()
    }

    #[test]
    fn a_member_without_a_name_can_stand_in_no_path() {
        let rows = vec![json!({"": {"": null}}), json!({"a": {"": 1}})];
        for row in rows {
            assert_eq!(unfold(fold(std::slice::from_ref(&row))).unwrap(), [row]);
        }
    }

    #[test]
    fn what_is_usual_stands_once() {
        let rows = vec![
            json!({"n": 1, "tags": {"a": "x", "b": null}, "empty": {}}),
            json!({"n": 2, "tags": {"a": "x", "b": null}, "empty": {}}),
            json!({"n": 3, "tags": {"a": "y", "b": null}, "empty": {}}),
        ];
        let table = fold(&rows);
        assert_eq!(
            table,
            json!({"usual": {"tags.a": "x", "tags.b": null, "empty": {}},
                   "rows": [{"n": 1}, {"n": 2}, {"n": 3, "tags.a": "y"}]})
        );
        assert_eq!(unfold(table).unwrap(), rows);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for wrong in [
            json!(1),
            json!({"usual": {}}),
            json!({"usual": {}, "rows": [1]}),
            json!({"usual": {"a": 1}, "rows": [{"a.b": 1}]}),
            json!({"usual": {}, "rows": [], "more": 1}),
        ] {
            assert!(unfold(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Listed(#[serde(with = "list")] Vec<Value>);

    #[test]
    fn a_list_of_any_length_comes_back_as_it_was() {
        for (length, form) in [
            (0, "["),
            (199, "["),
            (200, "{\"rows\""),
            (1001, "{\"parts\""),
        ] {
            let rows = (0..length).map(|n| json!({"n": n, "of": "all"}));
            let listed = Listed(rows.collect());
            let text = serde_json::to_string(&listed).unwrap();
            assert!(text.starts_with(form), "{length}: {text:.20}");
            assert_eq!(serde_json::from_str::<Listed>(&text).unwrap(), listed);
        }
        for wrong in [
            r#"{"parts":[],"rows":[]}"#,
            r#"{"rows":[],"parts":[]}"#,
            r#"{"parts":[1]}"#,
            r#"{"parts":{}}"#,
            "3",
        ] {
            assert!(serde_json::from_str::<Listed>(wrong).is_err(), "{wrong}");
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab.]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab.]{0,2}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_list_comes_back_as_it_was(rows in proptest::collection::vec(any_value(), 0..6)) {
            prop_assert_eq!(unfold(fold(&rows)).unwrap(), rows);
        }
    }
}
