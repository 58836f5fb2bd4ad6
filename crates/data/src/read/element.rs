//! One JSON value that should be an object.

use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

/// The object, or what it is instead. Valid JSON of any kind reads as an `Element`, so that an array goes on after it.
pub(super) struct Element(pub(super) Result<Map<String, Value>, String>);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

fn not_an_object(found: &str) -> Element {
    Element(Err(format!("{found}, not a JSON object")))
}

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let mut row = Map::new();
        let mut twice = None;
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if row.contains_key(&name) {
                twice = Some(name);
            } else {
                row.insert(name, value);
            }
        }
        Ok(Element(match twice {
            Some(name) => Err(format!("the field `{name}` is there twice")),
            None => Ok(row),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Element, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_an_object("a list"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Element, E> {
        Ok(not_an_object("text"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Element, E> {
        Ok(not_an_object("true or false"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Element, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Element, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Element, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_unit<E>(self) -> Result<Element, E> {
        Ok(not_an_object("null"))
    }
}
