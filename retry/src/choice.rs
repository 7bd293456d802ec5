//! Enums written as `{"variant": {…}}`, or as the name alone for variants without members: [`choice!`].
//!
//! The derived implementations expect YAML's own syntax for enums, a tag (`!fixed`), and their errors name Rust's types. These
//! read the map of the other formats in YAML too, read what the derived ones write, and say what to write instead.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// A map's only member as an enum: its name is the variant, its value an object of the variant's members.
pub(crate) struct OnlyMember<A> {
    name: String,
    map: A,
}

impl<'de, A: MapAccess<'de>> OnlyMember<A> {
    /// Takes the name of the first member; `None` if the map is empty.
    pub(crate) fn of(mut map: A) -> Result<Option<Self>, A::Error> {
        Ok(map.next_key()?.map(|name| Self { name, map }))
    }
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for OnlyMember<A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for OnlyMember<A> {
    type Error = A::Error;
    type Variant = Members<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Members<A>), A::Error> {
        let name: StringDeserializer<A::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Members(self.map)))
    }
}

/// The value of the only member.
pub(crate) struct Members<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Members<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        self.0.next_value()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(Object { members: &[], visitor })
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(Object { members, visitor })
    }
}

/// Reads an object, and calls it that in errors.
struct Object<V> {
    members: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Object<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.members.join(", "))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(map)
    }
}

/// Refuses a further member.
pub(crate) fn no_further_member<'de, A: MapAccess<'de>>(mut map: A, expected: &str) -> Result<(), A::Error> {
    match map.next_key::<String>()? {
        None => Ok(()),
        Some(second) => {
            Err(de::Error::custom(format_args!("`{second}` is a second member, expected {expected}")))
        }
    }
}

/// Implements `Serialize` and `Deserialize` for an enum with derived `#[serde(remote = "Self")]` ones. `$plain` are the
/// variants without members.
macro_rules! choice {
    ($choice:ident, $expected:literal, [$($plain:literal),*]) => {
        const _: () = {
            use serde::de::value::EnumAccessDeserializer;
            use serde::de::{EnumAccess, Error, IntoDeserializer, MapAccess, Unexpected, Visitor};

            impl serde::Serialize for $choice {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Self::serialize(self, serializer)
                }
            }

            impl<'de> serde::Deserialize<'de> for $choice {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_any(Choice)
                }
            }

            struct Choice;

            impl<'de> Visitor<'de> for Choice {
                type Value = $choice;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str($expected)
                }

                fn visit_str<E: Error>(self, name: &str) -> Result<$choice, E> {
                    let plain: &[&str] = &[$($plain),*];
                    if !plain.contains(&name) {
                        return Err(E::invalid_value(Unexpected::Str(name), &self));
                    }
                    $choice::deserialize(name.into_deserializer())
                }

                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$choice, A::Error> {
                    let Some(member) = crate::choice::OnlyMember::of(&mut map)? else {
                        return Err(A::Error::invalid_value(Unexpected::Other("an empty object"), &self));
                    };
                    let choice = $choice::deserialize(member)?;
                    crate::choice::no_further_member(map, $expected)?;
                    Ok(choice)
                }

                fn visit_enum<A: EnumAccess<'de>>(self, tag: A) -> Result<$choice, A::Error> {
                    $choice::deserialize(EnumAccessDeserializer::new(tag))
                }
            }
        };
    };
}

pub(crate) use choice;
