//! References that know their table.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use uuid::Uuid;

use super::{AtomShape, AtomValue, IntoAtom, Table};
use crate::transaction::InsertRef;
use crate::value::{Atom, AtomType, Datum};

/// A reference to an existing row of table `T`.
///
/// ```
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// use ovsdb_client::typed::Ref;
/// # use uuid::Uuid;
///
/// let tom: Ref<Cat> = Ref::new(Uuid::from_u128(1));
/// assert_eq!(tom.uuid(), Uuid::from_u128(1));
/// ```
///
/// References to rows of different tables do not mix:
///
/// ```compile_fail,E0308
/// # mod pets { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/typed/pets.rs")); }
/// # use pets::*;
/// # use ovsdb_client::typed::Ref;
/// # let tom: Ref<Cat> = Ref::new(uuid::Uuid::from_u128(1));
/// let owner: Ref<Owner> = tom;
/// ```
pub struct Ref<T> {
    uuid: Uuid,
    table: PhantomData<fn() -> T>,
}

/// The row of table `T` that an [`insert_row`](crate::Transaction::insert_row) will make.
///
/// Other operations of the same transaction write it where a [`Ref`] stands. It means nothing to
/// other transactions.
pub struct NewRow<T> {
    insert: InsertRef,
    table: PhantomData<fn() -> T>,
}

/// A row that exists or will, for lists that hold both.
pub enum RowRef<T> {
    /// A row that exists.
    Existing(Ref<T>),
    /// A row that the same transaction inserts.
    New(NewRow<T>),
}

impl<T> Ref<T> {
    /// Refers to the row of that UUID, which must be one of table `T`: nothing here can tell.
    pub const fn new(uuid: Uuid) -> Self {
        Self {
            uuid,
            table: PhantomData,
        }
    }

    /// UUID of the row.
    pub const fn uuid(self) -> Uuid {
        self.uuid
    }
}

impl<T> NewRow<T> {
    pub(super) const fn new(insert: InsertRef) -> Self {
        Self {
            insert,
            table: PhantomData,
        }
    }

    /// The same row without its table.
    pub const fn insert(self) -> InsertRef {
        self.insert
    }
}

// By hand, because derived impls would ask the same of the table.
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ref<T> {}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<T> Eq for Ref<T> {}

impl<T> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ref").field(&self.uuid).finish()
    }
}

impl<T> fmt::Display for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.fmt(f)
    }
}

impl<T> From<Ref<T>> for Uuid {
    fn from(reference: Ref<T>) -> Self {
        reference.uuid
    }
}

impl<T> From<Ref<T>> for Atom {
    fn from(reference: Ref<T>) -> Self {
        Self::Uuid(reference.uuid)
    }
}

impl<T> From<Ref<T>> for Datum {
    fn from(reference: Ref<T>) -> Self {
        Self::Atom(reference.into())
    }
}

impl<T: Table> AtomValue for Ref<T> {
    const ATOM: AtomShape = AtomShape {
        atom_type: AtomType::Uuid,
        references: Some(T::TABLE),
    };

    fn from_atom(atom: &Atom) -> Option<Self> {
        atom.as_uuid().map(Self::new)
    }

    fn into_atom(self) -> Atom {
        self.into()
    }
}

impl<T> Clone for NewRow<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for NewRow<T> {}

impl<T> fmt::Debug for NewRow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewRow").field(&self.insert).finish()
    }
}

impl<T: Table> IntoAtom for NewRow<T> {
    type Atom = Ref<T>;

    fn into_atom(self) -> Atom {
        self.insert.into()
    }
}

impl<T> Clone for RowRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RowRef<T> {}

impl<T> fmt::Debug for RowRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Existing(row) => row.fmt(f),
            Self::New(row) => row.fmt(f),
        }
    }
}

impl<T> From<Ref<T>> for RowRef<T> {
    fn from(row: Ref<T>) -> Self {
        Self::Existing(row)
    }
}

impl<T> From<NewRow<T>> for RowRef<T> {
    fn from(row: NewRow<T>) -> Self {
        Self::New(row)
    }
}

impl<T: Table> IntoAtom for RowRef<T> {
    type Atom = Ref<T>;

    fn into_atom(self) -> Atom {
        match self {
            Self::Existing(row) => row.into(),
            Self::New(row) => row.insert.into(),
        }
    }
}
