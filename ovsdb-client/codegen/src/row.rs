//! The struct of a table.

use ovsdb_client::value::AtomType;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::plan::{ColumnPlan, RustAtom, RustType, TablePlan};

impl TablePlan<'_> {
    pub(crate) fn tokens(&self, is_root: bool) -> TokenStream {
        let name = format_ident!("{}", self.rust);
        let table = self.name;
        let docs = self.docs(is_root);
        let fields = self.columns.iter().map(ColumnPlan::field);
        let tokens = self.columns.iter().map(ColumnPlan::token);
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|column| format_ident!("{}", column.token))
            .collect();
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|column| format_ident!("{}", column.field))
            .collect();
        let values = self.columns.iter().map(ColumnPlan::value);
        quote! {
            #(#[doc = #docs])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct #name {
                /// UUID of the row.
                pub uuid: Uuid,
                #(#fields)*
            }

            impl #name {
                /// Column `_uuid`, which every table has, for conditions only.
                pub const UUID: Column<Self, Ref<Self>> = Column::new("_uuid");
                #(#tokens)*
            }

            impl Table for #name {
                const DATABASE: &'static str = DATABASE;
                const TABLE: &'static str = #table;
                const COLUMNS: &'static [ColumnSpec] = &[#(Self::#columns.spec()),*];

                fn decode(uuid: Uuid, row: &RowReader<'_>) -> Result<Self, DecodeError> {
                    Ok(Self {
                        uuid,
                        #(#names: row.read(Self::#columns)?,)*
                    })
                }

                fn uuid(&self) -> Uuid {
                    self.uuid
                }

                fn assignments(&self) -> Vec<Assignment<Self>> {
                    Vec::from([#(Self::#columns.set(#values)),*])
                }
            }
        }
    }

    fn docs(&self, is_root: bool) -> Vec<String> {
        let mut sentences = Vec::new();
        if !is_root {
            sentences.push("It lives as long as a row refers to it strongly.".to_owned());
        }
        match self.table.max_rows() {
            None => {}
            Some(1) => sentences.push("The table has at most one row.".to_owned()),
            Some(max) => sentences.push(format!("The table has at most {max} rows.")),
        }
        for index in self.table.indexes() {
            let columns: Vec<_> = index.iter().map(|column| format!("`{column}`")).collect();
            sentences.push(format!(
                "No two rows have the same {}.",
                columns.join(" and ")
            ));
        }
        let mut docs = vec![format!(" A row of table `{}`.", self.name)];
        if !sentences.is_empty() {
            docs.push(String::new());
            docs.extend(sentences.into_iter().map(|sentence| format!(" {sentence}")));
        }
        docs
    }
}

impl ColumnPlan<'_> {
    fn field(&self) -> TokenStream {
        let field = format_ident!("{}", self.field);
        let ty = self.ty.tokens();
        let mut doc = format!(" `{}`: {}.", self.name, self.column.column_type());
        if !self.column.is_mutable() {
            doc.push_str(" It never changes.");
        }
        if self.column.is_ephemeral() {
            doc.push_str(" It is not on disk.");
        }
        quote! {
            #[doc = #doc]
            pub #field: #ty,
        }
    }

    fn token(&self) -> TokenStream {
        let token = format_ident!("{}", self.token);
        let ty = self.ty.tokens();
        let name = self.name;
        let doc = format!(" Column `{name}`.");
        quote! {
            #[doc = #doc]
            pub const #token: Column<Self, #ty> = Column::new(#name);
        }
    }

    /// The field of `self`, to be given away.
    fn value(&self) -> TokenStream {
        let field = format_ident!("{}", self.field);
        if self.ty.is_copy() {
            quote!(self.#field)
        } else {
            quote!(self.#field.clone())
        }
    }
}

impl RustType {
    fn tokens(&self) -> TokenStream {
        match self {
            Self::One(atom) => atom.tokens(),
            Self::Optional(atom) => {
                let atom = atom.tokens();
                quote!(Option<#atom>)
            }
            Self::Set(atom) => {
                let atom = atom.tokens();
                quote!(BTreeSet<#atom>)
            }
            Self::Map(key, value) => {
                let (key, value) = (key.tokens(), value.tokens());
                quote!(BTreeMap<#key, #value>)
            }
        }
    }

    fn is_copy(&self) -> bool {
        match self {
            Self::One(atom) | Self::Optional(atom) => atom.is_copy(),
            Self::Set(_) | Self::Map(..) => false,
        }
    }
}

impl RustAtom {
    fn tokens(&self) -> TokenStream {
        match self {
            Self::Plain(AtomType::Integer) => quote!(i64),
            Self::Plain(AtomType::Real) => quote!(f64),
            Self::Plain(AtomType::Boolean) => quote!(bool),
            Self::Plain(AtomType::String) => quote!(String),
            Self::Plain(AtomType::Uuid) => quote!(Uuid),
            Self::OrderedReal => quote!(Real),
            Self::Ref(target) => {
                let target = format_ident!("{target}");
                quote!(Ref<#target>)
            }
            Self::Enumeration(name, _) => {
                let name = format_ident!("{name}");
                quote!(#name)
            }
        }
    }

    fn is_copy(&self) -> bool {
        match self {
            Self::Plain(atom_type) => *atom_type != AtomType::String,
            Self::Enumeration(_, copy) => *copy,
            Self::OrderedReal | Self::Ref(_) => true,
        }
    }
}
