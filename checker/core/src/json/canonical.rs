//! Canonical JSON: the members of objects in the order of their names, no white space. Equal values have equal texts.
//!
//! Objects are put into order where they were written, once they are complete. A list of a hundred thousand objects thus
//! takes the memory of its text, and not that of a tree of values.

use std::borrow::Cow;
use std::mem;
use std::ops::Range;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::Error;

/// The canonical text of a value.
pub(crate) fn canonical(value: &impl Serialize) -> Result<String, Error> {
    let mut text = Vec::new();
    value.serialize(Writer(&mut text))?;
    text.shrink_to_fit();
    // What serde_json writes is UTF-8, and whole members are moved only.
    Ok(String::from_utf8(text).unwrap_or_default())
}

struct Writer<'a>(&'a mut Vec<u8>);

/// A list that is open, and how it ends.
struct List<'a> {
    text: &'a mut Vec<u8>,
    empty: bool,
    end: &'static [u8],
}

/// An object that is open, and how it ends.
struct Object<'a> {
    text: &'a mut Vec<u8>,
    /// Where its first member begins.
    start: usize,
    members: Vec<Member>,
    end: &'static [u8],
}

/// A member that was written: `"name":value`.
struct Member {
    name: Range<usize>,
    end: usize,
}

impl<'a> Writer<'a> {
    fn scalar(self, value: &impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(self.0, value)
    }

    /// Begins `{"variant":`, for what is closed by a brace more.
    fn variant(&mut self, variant: &str) -> Result<(), Error> {
        self.0.push(b'{');
        serde_json::to_writer(&mut *self.0, variant)?;
        self.0.push(b':');
        Ok(())
    }

    fn list(self, end: &'static [u8]) -> List<'a> {
        self.0.push(b'[');
        List {
            text: self.0,
            empty: true,
            end,
        }
    }

    fn object(self, end: &'static [u8]) -> Object<'a> {
        self.0.push(b'{');
        Object {
            start: self.0.len(),
            text: self.0,
            members: Vec::new(),
            end,
        }
    }
}

impl List<'_> {
    fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        if !mem::take(&mut self.empty) {
            self.text.push(b',');
        }
        value.serialize(Writer(self.text))
    }

    fn done(self) {
        self.text.extend_from_slice(self.end);
    }
}

impl Object<'_> {
    fn name(&mut self, name: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        if !self.members.is_empty() {
            self.text.push(b',');
        }
        let start = self.text.len();
        name.serialize(Writer(self.text))?;
        if self.text.get(start) != Some(&b'"') {
            // A number as a name is a text.
            self.text.insert(start, b'"');
            self.text.push(b'"');
        }
        let name = start..self.text.len();
        self.text.push(b':');
        self.members.push(Member {
            end: self.text.len(),
            name,
        });
        Ok(())
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        value.serialize(Writer(self.text))?;
        if let Some(member) = self.members.last_mut() {
            member.end = self.text.len();
        }
        Ok(())
    }

    fn member(
        &mut self,
        name: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Error> {
        self.name(name)?;
        self.value(value)
    }

    /// Puts the members into order.
    fn done(self) -> Result<(), Error> {
        let text = self.text;
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let mut named = Vec::with_capacity(self.members.len());
        for member in &self.members {
            // As texts are ordered, and not as they are escaped.
            let name = part(member.name.clone());
            let name: Cow<'_, str> = match name
                .strip_prefix(b"\"")
                .and_then(|name| name.strip_suffix(b"\""))
            {
                Some(plain) if !plain.contains(&b'\\') => String::from_utf8_lossy(plain),
                Some(_) | None => Cow::Owned(serde_json::from_slice(name)?),
            };
            named.push((name, member.name.start..member.end));
        }
        if !named.is_sorted_by(|one, other| one.0 <= other.0) {
            named.sort_by(|one, other| one.0.cmp(&other.0));
            let members: Vec<&[u8]> = named.into_iter().map(|(_, range)| part(range)).collect();
            let ordered = members.join(&b',');
            text.truncate(self.start);
            text.extend_from_slice(&ordered);
        }
        text.extend_from_slice(self.end);
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident: $ty:ty),*) => {$(
        fn $method(self, value: $ty) -> Result<(), Error> {
            self.scalar(&value)
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Object<'a>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
        serialize_char: char, serialize_str: &str
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.scalar(&())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.scalar(&())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.scalar(&())
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.scalar(&variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant)?;
        value.serialize(Writer(&mut *self.0))?;
        self.0.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, Error> {
        Ok(self.list(b"]"))
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'a>, Error> {
        Ok(self.list(b"]"))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Error> {
        Ok(self.list(b"]"))
    }

    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Error> {
        self.variant(variant)?;
        Ok(self.list(b"]}"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Object<'a>, Error> {
        Ok(self.object(b"}"))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Object<'a>, Error> {
        Ok(self.object(b"}"))
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Object<'a>, Error> {
        self.variant(variant)?;
        Ok(self.object(b"}}"))
    }
}

macro_rules! lists {
    ($($name:ident: $method:ident),*) => {$(
        impl $name for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.done();
                Ok(())
            }
        }
    )*};
}

lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
}

macro_rules! objects {
    ($($name:ident),*) => {$(
        impl $name for Object<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.member(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.done()
            }
        }
    )*};
}

objects! { SerializeStruct, SerializeStructVariant }

impl SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.name(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.value(value)
    }

    fn end(self) -> Result<(), Error> {
        self.done()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::canonical;

    #[derive(Serialize)]
    enum Kind {
        Unit,
        New(Option<u8>),
        Tuple(i8, f64),
        Fields { z: &'static str, a: (u16, char) },
    }

    #[derive(Serialize)]
    struct Thing {
        zeta: Vec<Kind>,
        alpha: BTreeMap<u32, Option<()>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        middle: Option<bool>,
    }

    /// A tree of values keeps its members in order.
    fn agrees(value: &impl Serialize) {
        let expected = serde_json::to_value(value).unwrap().to_string();
        assert_eq!(canonical(value).unwrap(), expected);
    }

    #[test]
    fn every_shape_is_written_as_a_tree_of_values_writes_it() {
        let zeta = vec![
            Kind::Unit,
            Kind::New(None),
            Kind::New(Some(3)),
            Kind::Tuple(-1, 0.5),
            Kind::Fields {
                z: "\u{7}\"\n",
                a: (9, 'é'),
            },
        ];
        agrees(&Thing {
            zeta,
            alpha: BTreeMap::from([(10, None), (9, Some(()))]),
            middle: None,
        });
        // Escapes come in another order than what they stand for.
        agrees(&json!({"\u{1}": 1, "!": 2, "\"": 3, "a\\b": [], "a": {}}));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_it_is_with_its_members_in_order(value in value()) {
            prop_assert_eq!(canonical(&value).unwrap(), value.to_string());
        }
    }
}
