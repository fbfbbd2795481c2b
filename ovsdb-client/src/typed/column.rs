//! Columns as tokens, and what can be said with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use super::{
    Assignment, AtomValue, Clearable, ColumnSpec, ColumnValue, Comparable, Integral, IntoAtom,
    IntoValue, Numeric, Table, TableCondition, TableMutation,
};
use crate::transaction::{Condition, Mutation};
use crate::value::Datum;

/// A column of table `T` whose values are of type `V`.
///
/// Its methods make the parts of typed operations: an assignment to it, a condition on it, a
/// mutation of it. Which of them there are follows from the type.
///
/// ```
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// use ovsdb_client::Transaction;
///
/// let mut txn = Transaction::new();
/// txn.update_rows([Cat::NAME.eq("Tom")], [Cat::CHIP.clear(), Cat::MOOD.set(CatMood::Playful)]);
/// txn.mutate_rows([Cat::LIVES.gt(1)], [Cat::LIVES.subtract(1), Cat::NOTES.remove_keys(["vet"])]);
/// ```
///
/// What the type rules out does not compile. A column that always holds a value cannot be cleared:
///
/// ```compile_fail,E0277
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// Cat::NAME.clear();
/// ```
///
/// Only numbers are calculated with, and only integers have remainders:
///
/// ```compile_fail,E0277
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// Cat::NAME.add("cat");
/// ```
///
/// ```compile_fail,E0277
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// Cat::WEIGHT.remainder(2);
/// ```
///
/// A value has the type of the column, and a reference its table:
///
/// ```compile_fail,E0271
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// Cat::NAME.set(7);
/// ```
///
/// ```compile_fail,E0277
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// # use ovsdb_client::Transaction;
/// let mut txn = Transaction::new();
/// let ann = txn.insert_row([Owner::NAME.set("Ann")]);
/// txn.insert_row([Owner::CATS.set([ann])]);
/// ```
///
/// Columns of different tables do not meet in one operation:
///
/// ```compile_fail,E0271
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// # use ovsdb_client::Transaction;
/// Transaction::new().update_rows([Cat::NAME.eq("Tom")], [Owner::NAME.set("Ann")]);
/// ```
pub struct Column<T, V> {
    name: &'static str,
    types: PhantomData<fn() -> (T, V)>,
}

impl<T, V> Clone for Column<T, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, V> Copy for Column<T, V> {}

impl<T, V> fmt::Debug for Column<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Column").field(&self.name).finish()
    }
}

impl<T: Table, V: ColumnValue> Column<T, V> {
    /// Makes the token of a column. Generated code does; with a hand-written [`Table`] too.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            types: PhantomData,
        }
    }

    /// Name of the column in the schema.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Name and type of the column.
    pub const fn spec(self) -> ColumnSpec {
        ColumnSpec {
            name: self.name,
            shape: V::SHAPE,
        }
    }

    /// Sets the column.
    pub fn set(self, value: impl IntoValue<V>) -> Assignment<T> {
        Assignment::new(self.name, value.into_datum())
    }

    /// Sets the column to its empty value.
    pub fn clear(self) -> Assignment<T>
    where
        V: Clearable,
    {
        Assignment::new(self.name, V::empty())
    }

    /// The column equals the value.
    pub fn eq(self, value: impl IntoValue<V>) -> TableCondition<T> {
        Condition::eq(self.name, value.into_datum()).into()
    }

    /// The column differs from the value.
    pub fn ne(self, value: impl IntoValue<V>) -> TableCondition<T> {
        Condition::ne(self.name, value.into_datum()).into()
    }

    /// The column contains every element, or pair, of the value.
    pub fn includes(self, value: impl IntoValue<V>) -> TableCondition<T> {
        Condition::includes(self.name, value.into_datum()).into()
    }

    /// The column contains no element, or pair, of the value.
    pub fn excludes(self, value: impl IntoValue<V>) -> TableCondition<T> {
        Condition::excludes(self.name, value.into_datum()).into()
    }

    /// The column is empty.
    pub fn is_empty(self) -> TableCondition<T>
    where
        V: Clearable,
    {
        Condition::eq(self.name, V::empty()).into()
    }
}

/// Comparisons of numbers. An optional column that is empty meets none of them.
impl<T: Table, V: ColumnValue> Column<T, V> {
    /// The number is less than the value.
    pub fn lt(self, value: impl IntoAtom<Atom = V::Number>) -> TableCondition<T>
    where
        V: Comparable,
    {
        Condition::lt(self.name, value.into_atom()).into()
    }

    /// The number is at most the value.
    pub fn le(self, value: impl IntoAtom<Atom = V::Number>) -> TableCondition<T>
    where
        V: Comparable,
    {
        Condition::le(self.name, value.into_atom()).into()
    }

    /// The number is greater than the value.
    pub fn gt(self, value: impl IntoAtom<Atom = V::Number>) -> TableCondition<T>
    where
        V: Comparable,
    {
        Condition::gt(self.name, value.into_atom()).into()
    }

    /// The number is at least the value.
    pub fn ge(self, value: impl IntoAtom<Atom = V::Number>) -> TableCondition<T>
    where
        V: Comparable,
    {
        Condition::ge(self.name, value.into_atom()).into()
    }
}

/// Arithmetic, on the number in the column or on each of its numbers.
impl<T: Table, V: ColumnValue> Column<T, V> {
    /// Adds a number.
    #[expect(
        clippy::should_implement_trait,
        reason = "the operator would promise a sum, and this makes a mutation"
    )]
    pub fn add(self, number: impl IntoAtom<Atom = V::Number>) -> TableMutation<T>
    where
        V: Numeric,
    {
        Mutation::add(self.name, number.into_atom()).into()
    }

    /// Subtracts a number.
    pub fn subtract(self, number: impl IntoAtom<Atom = V::Number>) -> TableMutation<T>
    where
        V: Numeric,
    {
        Mutation::subtract(self.name, number.into_atom()).into()
    }

    /// Multiplies by a number.
    pub fn multiply(self, number: impl IntoAtom<Atom = V::Number>) -> TableMutation<T>
    where
        V: Numeric,
    {
        Mutation::multiply(self.name, number.into_atom()).into()
    }

    /// Divides by a number.
    pub fn divide(self, number: impl IntoAtom<Atom = V::Number>) -> TableMutation<T>
    where
        V: Numeric,
    {
        Mutation::divide(self.name, number.into_atom()).into()
    }

    /// Leaves the remainder of an integer division.
    pub fn remainder(self, number: impl IntoAtom<Atom = i64>) -> TableMutation<T>
    where
        V: Integral,
    {
        Mutation::remainder(self.name, number.into_atom()).into()
    }
}

/// Changes of a set by its elements.
impl<T: Table, A: AtomValue + Ord> Column<T, BTreeSet<A>> {
    /// Adds elements; those that are there already stay.
    pub fn insert(self, elements: impl IntoValue<BTreeSet<A>>) -> TableMutation<T> {
        Mutation::insert(self.name, elements.into_datum()).into()
    }

    /// Removes elements; those that are not there do no harm.
    pub fn remove(self, elements: impl IntoValue<BTreeSet<A>>) -> TableMutation<T> {
        Mutation::delete(self.name, elements.into_datum()).into()
    }
}

/// Changes of a map by its pairs.
impl<T: Table, K: AtomValue + Ord, V: AtomValue> Column<T, BTreeMap<K, V>> {
    /// Adds pairs. One whose key is there already is left out: the old value stays. To replace it,
    /// [`remove_keys`](Self::remove_keys) first, in the same list of mutations.
    pub fn insert(self, pairs: impl IntoValue<BTreeMap<K, V>>) -> TableMutation<T> {
        Mutation::insert(self.name, pairs.into_datum()).into()
    }

    /// Removes the pairs with these keys, whatever their values.
    pub fn remove_keys(self, keys: impl IntoValue<BTreeSet<K>>) -> TableMutation<T> {
        Mutation::delete(self.name, keys.into_datum()).into()
    }

    /// Removes pairs that are equal in key and value.
    pub fn remove_pairs(self, pairs: impl IntoValue<BTreeMap<K, V>>) -> TableMutation<T> {
        let pairs: Datum = pairs.into_datum();
        Mutation::delete(self.name, pairs).into()
    }
}
