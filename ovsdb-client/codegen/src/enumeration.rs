//! The enum of a column with a list of values.

use ovsdb_client::value::{Atom, AtomType};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

use crate::plan::Enumeration;

/// The way from an enumeration to its values and back.
struct Conversions {
    accessor: TokenStream,
    impls: TokenStream,
}

impl Enumeration {
    pub(crate) fn tokens(&self) -> TokenStream {
        let name = format_ident!("{}", self.rust);
        let (table, column) = (&self.table, &self.column);
        let doc = format!(" Values of column `{column}` of table `{table}`.");
        let variants = self.variants.iter().map(|(variant, atom)| {
            let variant = format_ident!("{variant}");
            let doc = format!(" `{atom}`");
            quote! {
                #[doc = #doc]
                #variant,
            }
        });
        let names: Vec<_> = self.names().collect();
        let count = Literal::usize_unsuffixed(names.len());
        let derives = match self.atom_type {
            AtomType::String => quote!(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash),
            _ => quote!(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash),
        };
        let unknown = self.unknown();
        let Conversions { accessor, impls } = self.conversions(&name);
        quote! {
            #[doc = #doc]
            #[derive(#derives)]
            pub enum #name {
                #(#variants)*
                /// A value that the schema does not list: that of a newer server.
                Unknown(#unknown),
            }

            impl #name {
                /// The values that the schema lists.
                pub const KNOWN: [Self; #count] = [#(Self::#names),*];

                #accessor
            }

            #impls
        }
    }

    fn names(&self) -> impl Iterator<Item = Ident> {
        let variants = self.variants.iter();
        variants.map(|(variant, _)| format_ident!("{variant}"))
    }

    /// What the variant for all other values holds.
    fn unknown(&self) -> TokenStream {
        match self.atom_type {
            AtomType::Integer => quote!(i64),
            AtomType::Real => quote!(Real),
            AtomType::Boolean => quote!(bool),
            AtomType::String => quote!(String),
            AtomType::Uuid => quote!(Uuid),
        }
    }

    fn conversions(&self, name: &Ident) -> Conversions {
        let names: Vec<_> = self.names().collect();
        let values: Vec<_> = self
            .variants
            .iter()
            .map(|(_, atom)| literal(atom))
            .collect();
        match self.atom_type {
            AtomType::String => strings(name, &names, &values),
            AtomType::Uuid => {
                let value = quote!(Uuid);
                let known = values.iter().map(|bits| quote!(Uuid::from_u128(#bits)));
                let known: Vec<_> = known.collect();
                let read = quote! {
                    match value.as_u128() {
                        #(#values => Self::#names,)*
                        _ => Self::Unknown(value),
                    }
                };
                let parts = (quote!(*value), quote!(atom.as_uuid()), quote!(Uuid));
                scalars(name, &value, &read, &names, &known, parts)
            }
            AtomType::Real => {
                let read = quote! {
                    match value {
                        #(#values => Self::#names,)*
                        other => Self::Unknown(Real(other)),
                    }
                };
                let parts = (quote!(value.0), quote!(atom.as_f64()), quote!(Real));
                scalars(name, &quote!(f64), &read, &names, &values, parts)
            }
            AtomType::Integer | AtomType::Boolean => {
                let read = quote! {
                    match value {
                        #(#values => Self::#names,)*
                        other => Self::Unknown(other),
                    }
                };
                let parts = (quote!(*value), quote!(atom.as_i64()), quote!(Integer));
                scalars(name, &quote!(i64), &read, &names, &values, parts)
            }
        }
    }
}

/// An atom in a pattern.
fn literal(atom: &Atom) -> TokenStream {
    match atom {
        Atom::Integer(integer) => {
            let literal = Literal::i64_unsuffixed(*integer);
            quote!(#literal)
        }
        Atom::Real(real) => {
            let literal = Literal::f64_unsuffixed(*real);
            quote!(#literal)
        }
        Atom::Boolean(boolean) => quote!(#boolean),
        Atom::String(string) | Atom::NamedUuid(string) => quote!(#string),
        Atom::Uuid(uuid) => {
            let literal = Literal::u128_unsuffixed(uuid.as_u128());
            quote!(#literal)
        }
    }
}

fn strings(name: &Ident, names: &[Ident], values: &[TokenStream]) -> Conversions {
    let accessor = quote! {
        /// The value as the database spells it.
        pub fn as_str(&self) -> &str {
            match self {
                #(Self::#names => #values,)*
                Self::Unknown(value) => value,
            }
        }
    };
    let impls = quote! {
        impl From<&str> for #name {
            fn from(value: &str) -> Self {
                match value {
                    #(#values => Self::#names,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl ::std::fmt::Display for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl AtomValue for #name {
            const ATOM: AtomShape = AtomShape::of(AtomType::String);

            fn from_atom(atom: &Atom) -> Option<Self> {
                atom.as_str().map(Self::from)
            }

            fn into_atom(self) -> Atom {
                Atom::from(self.as_str())
            }
        }
    };
    Conversions { accessor, impls }
}

/// The conversions of an enumeration of numbers or UUIDs: how the unlisted value is given out, how
/// an atom is read, and the atom's type.
fn scalars(
    name: &Ident,
    value: &TokenStream,
    read: &TokenStream,
    names: &[Ident],
    known: &[TokenStream],
    (unlisted, from_atom, atom_type): (TokenStream, TokenStream, TokenStream),
) -> Conversions {
    let accessor = quote! {
        /// The value as the database has it.
        pub fn value(&self) -> #value {
            match self {
                #(Self::#names => #known,)*
                Self::Unknown(value) => #unlisted,
            }
        }
    };
    let impls = quote! {
        impl From<#value> for #name {
            fn from(value: #value) -> Self {
                #read
            }
        }

        impl ::std::fmt::Display for #name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.value().fmt(f)
            }
        }

        impl AtomValue for #name {
            const ATOM: AtomShape = AtomShape::of(AtomType::#atom_type);

            fn from_atom(atom: &Atom) -> Option<Self> {
                #from_atom.map(Self::from)
            }

            fn into_atom(self) -> Atom {
                Atom::from(self.value())
            }
        }
    };
    Conversions { accessor, impls }
}
