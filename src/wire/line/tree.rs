//! JSON as the event log needs it: members in their order, whole numbers apart from fractions.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value. A map that sorts its members would lose the order of the facts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Members),
}

/// The members of an object, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members(pub(super) Vec<(String, Tree)>);

impl Members {
    /// Takes out a member.
    pub(super) fn take(&mut self, name: &str) -> Option<Tree> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(index).1)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn int(&mut self, name: &str) -> Option<i64> {
        match self.take(name)? {
            Tree::Int(int) => Some(int),
            _ => None,
        }
    }

    pub(super) fn count(&mut self, name: &str) -> Option<u64> {
        self.int(name).and_then(|int| u64::try_from(int).ok())
    }

    /// The members of an object inside this one; none where there is no such object.
    pub(super) fn object(&mut self, name: &str) -> Members {
        match self.take(name) {
            Some(Tree::Object(members)) => members,
            _ => Members::default(),
        }
    }

    /// The items of a list inside this object; none where there is no such list.
    pub(super) fn list(&mut self, name: &str) -> Vec<Tree> {
        match self.take(name) {
            Some(Tree::List(items)) => items,
            _ => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Tree, E> {
        Ok(Tree::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Tree, E> {
        Ok(i64::try_from(int).map_or_else(|_| Tree::Text(int.to_string()), Tree::Int))
    }

    fn visit_f64<E>(self, double: f64) -> Result<Tree, E> {
        Ok(Tree::Double(double))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            members.push(entry);
        }
        Ok(Tree::Object(Members(members)))
    }
}
