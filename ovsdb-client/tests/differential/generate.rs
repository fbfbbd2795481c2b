//! Random transactions over the schema, most of them valid, some of them not.

use fastrand::Rng;
use ovsdb_client::Schema;
use ovsdb_client::schema::{BaseType, ColumnType, Table};
use ovsdb_client::value::AtomType;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How many UUIDs the rows of one table share.
const UUIDS: u8 = 6;

pub(crate) struct Generator<'a> {
    schema: &'a Schema,
    rng: Rng,
    /// Whether the operation being made may still be given something wrong. One thing at a time,
    /// because of two the server names that which it happens to come across first.
    may_err: bool,
    /// Whether rows may be called by name. Not where something else may be wrong, for a name and the
    /// UUID that it stands for are a duplicate.
    may_name: bool,
    names: u32,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(schema: &'a Schema, seed: u64) -> Self {
        Self {
            schema,
            rng: Rng::with_seed(seed),
            may_err: false,
            may_name: false,
            names: 0,
        }
    }

    pub(crate) fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(..100) < percent
    }

    fn errs(&mut self, percent: u8) -> bool {
        let errs = self.may_err && self.chance(percent);
        self.may_err &= !errs;
        errs
    }

    fn table(&mut self) -> (&'a str, &'a Table) {
        let tables: Vec<_> = self.schema.tables().collect();
        // Most of what there is to get wrong is in Root and Node.
        match self.rng.u8(..10) {
            0..4 => ("Root", self.schema.table("Root").unwrap()),
            4..6 => ("Node", self.schema.table("Node").unwrap()),
            _ => tables[self.rng.usize(..tables.len())],
        }
    }

    fn column(&mut self, table: &'a Table) -> (&'a str, &'a ColumnType) {
        let columns: Vec<_> = table.columns().collect();
        let (name, column) = columns[self.rng.usize(..columns.len())];
        (name, column.column_type())
    }

    pub(crate) fn operations(&mut self) -> Vec<Value> {
        let count = self.rng.usize(1..5);
        let mut operations = Vec::new();
        // A name that one operation uses before another one gives it.
        if self.chance(8) {
            self.names += 1;
            let name = format!("forward{}", self.names);
            let reference = json!(["named-uuid", name]);
            operations.push(
                json!({"op": "insert", "table": "Limited", "uuid": self.uuid("Limited"),
                "row": {"node": reference}}),
            );
            operations.push(json!({"op": "insert", "table": "Node", "uuid-name": name,
                "row": {"name": "named", "next": ["set", [reference]]}}));
        }
        operations.extend((0..count).map(|_| self.operation()));
        operations
    }

    fn operation(&mut self) -> Value {
        self.may_err = self.chance(12);
        self.may_name = !self.may_err;
        let mut operation = match self.rng.u8(..100) {
            0..34 => self.insert(),
            34..54 => self.update(),
            54..78 => self.mutate(),
            78..84 => {
                let (name, table) = self.table();
                json!({"op": "delete", "table": name, "where": self.conditions(name, table, 2)})
            }
            84..91 => self.select(),
            91..96 => self.wait(),
            96 => json!({"op": "comment", "comment": "why"}),
            97 => json!({"op": "commit", "durable": self.rng.bool()}),
            98 => json!({"op": "assert", "lock": if self.rng.bool() { "held" } else { "free" }}),
            _ => json!({"op": "abort"}),
        };
        if self.errs(8) {
            let members = operation.as_object_mut().unwrap();
            match self.rng.u8(..4) {
                0 => drop(members.insert("extra".into(), json!(1))),
                1 => drop(members.insert("op".into(), json!("explode"))),
                2 => drop(members.insert("table".into(), json!("Nowhere"))),
                _ => drop(members.remove("where")),
            }
        }
        operation
    }

    /// One of the UUIDs that the rows of a table share.
    fn uuid(&mut self, table: &str) -> Uuid {
        let table = self.schema.tables().position(|(name, _)| name == table);
        let table = table.unwrap_or(9) as u128;
        Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + (table << 32))
            .as_u128()
            .checked_add(u128::from(self.rng.u8(1..=UUIDS)))
            .map(Uuid::from_u128)
            .unwrap()
    }

    fn insert(&mut self) -> Value {
        let (name, table) = self.table();
        let mut operation = json!({"op": "insert", "table": name, "uuid": self.uuid(name)});
        operation["row"] = self.row(table, 35);
        if name == "Pair" && !self.chance(5) {
            operation["row"]["enum"] = json!(1);
        }
        if name == "Needy" && self.chance(90) {
            operation["row"]["needs"] = json!(["uuid", self.uuid("Root")]);
            operation["row"]["wants"] = json!(["uuid", self.uuid("Node")]);
        }
        if self.chance(10) {
            operation["uuid-name"] = json!(format!("n{}", self.rng.u8(..3)));
        }
        operation
    }

    fn row(&mut self, table: &'a Table, percent: u8) -> Value {
        let mut row = Map::new();
        for (name, column) in table.columns() {
            if self.chance(percent) {
                row.insert(name.to_owned(), self.value(column.column_type()));
            }
        }
        if self.errs(4) {
            row.insert("nothing".to_owned(), json!(1));
        }
        Value::Object(row)
    }

    fn update(&mut self) -> Value {
        let (name, table) = self.table();
        let mut row = self.row(table, 12);
        if !self.errs(5) {
            row.as_object_mut().unwrap().remove("fixed");
        }
        json!({"op": "update", "table": name, "where": self.conditions(name, table, 2), "row": row})
    }

    fn mutate(&mut self) -> Value {
        let (name, table) = self.table();
        let mut mutations = Vec::new();
        let mut arithmetic = false;
        for _ in 0..self.rng.usize(1..3) {
            let (column, ty) = self.column(table);
            if column == "fixed" && !self.errs(50) {
                continue;
            }
            let number = matches!(ty.key.atom_type, AtomType::Integer | AtomType::Real);
            let scalar = ty.value.is_none() && (ty.min, ty.max) == (1, Some(1));
            let wrong = self.errs(10);
            if (number && ty.value.is_none() && (scalar || self.chance(40))) != wrong {
                arithmetic = true;
                let mutators = ["+=", "-=", "*=", "/=", "%="];
                let real = ty.key.atom_type == AtomType::Real;
                let no_remainder = real && !self.errs(20);
                let mutator = mutators[self.rng.usize(..5 - usize::from(no_remainder))];
                let operand = match (real, mutator) {
                    // The real server's checks of products are wrong near the limits, and it dies
                    // of a negative number times zero.
                    (false, "*=") => json!(self.rng.i64(1..4)),
                    (false, "+=" | "-=") if self.chance(10) => json!(i64::MAX),
                    (false, _) => json!(self.rng.i64(-2..4)),
                    (true, _) if self.chance(5) => json!(1e308),
                    (true, _) => json!(self.rng.i64(-2..4) as f64 / 2.0),
                };
                mutations.push(json!([column, mutator, operand]));
            } else if !scalar || wrong || self.errs(30) {
                let mutator = if self.rng.bool() { "insert" } else { "delete" };
                let elements = ColumnType {
                    min: 0,
                    max: Some(ty.max.unwrap_or(3)),
                    value: ty
                        .value
                        .clone()
                        .filter(|_| mutator == "insert" || self.rng.bool()),
                    key: ty.key.clone(),
                };
                mutations.push(json!([column, mutator, self.value(&elements)]));
            }
        }
        if self.errs(5) {
            let (column, _) = self.column(table);
            if column != "fixed" {
                mutations.push(json!([column, "^=", 1]));
            }
        }
        // Rows are taken in no order that could be known, and they may fail in different ways.
        let conditions = if arithmetic {
            json!([["_uuid", "==", ["uuid", self.uuid(name)]]])
        } else {
            self.conditions(name, table, 2)
        };
        json!({"op": "mutate", "table": name, "where": conditions, "mutations": mutations})
    }

    fn columns(&mut self, table: &'a Table) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in table.columns() {
            if self.chance(20) {
                columns.push(name.to_owned());
            }
        }
        if self.chance(30) {
            columns.push("_uuid".to_owned());
        }
        if self.errs(5) {
            columns.push("nothing".to_owned());
        }
        columns
    }

    fn select(&mut self) -> Value {
        let (name, table) = self.table();
        json!({"op": "select", "table": name, "where": self.conditions(name, table, 3),
            "columns": self.columns(table)})
    }

    fn wait(&mut self) -> Value {
        let (name, table) = self.table();
        let columns = self.columns(table);
        let rows: Vec<Value> = (0..self.rng.usize(..2))
            .map(|_| self.row(table, 5))
            .collect();
        json!({"op": "wait", "table": name, "where": self.conditions(name, table, 2),
            "columns": columns, "rows": rows, "timeout": 0,
            "until": if self.chance(20) { "==" } else { "!=" }})
    }

    /// Conditions on the rows of a table, at most `count` of them.
    pub(crate) fn conditions_of(&mut self, table: &str, count: usize) -> Value {
        (self.may_err, self.may_name) = (false, false);
        let schema = self.schema.table(table).unwrap();
        self.conditions(table, schema, count)
    }

    fn conditions(&mut self, name: &str, table: &'a Table, count: usize) -> Value {
        if self.chance(45) {
            return json!([[
                "_uuid",
                if self.chance(90) { "==" } else { "!=" },
                ["uuid", self.uuid(name)]
            ]]);
        }
        let count = self.rng.usize(..=count);
        (0..count).map(|_| self.condition(table)).collect()
    }

    fn condition(&mut self, table: &'a Table) -> Value {
        if self.chance(4) {
            return json!(self.rng.bool());
        }
        let (column, ty) = self.column(table);
        if self.errs(6) {
            return match self.rng.u8(..3) {
                0 => json!(["nothing", "==", 1]),
                1 => json!([column, "~", 1]),
                _ => json!([column, "=="]),
            };
        }
        let ordered = matches!(ty.key.atom_type, AtomType::Integer | AtomType::Real);
        let optional = ty.value.is_none() && ty.max == Some(1);
        let mut ty = ty.clone();
        let function = if (ordered && optional && self.chance(50)) || self.errs(5) {
            ty.min = 1;
            ["<", "<=", ">", ">="][self.rng.usize(..4)]
        } else {
            let function = ["==", "!=", "includes", "excludes"][self.rng.usize(..4)];
            if function.ends_with("des") && (ty.min, ty.max) != (1, Some(1)) {
                ty.min = 0;
            }
            function
        };
        json!([column, function, self.value(&ty)])
    }

    fn value(&mut self, ty: &ColumnType) -> Value {
        if self.errs(4) {
            return match self.rng.u8(..4) {
                0 => json!(["map", [["k", 1], ["l", 2]]]),
                1 => json!(["set", ["a", "a"]]),
                2 => {
                    json!(["uuid", self.uuid("Root")])
                }
                _ => json!(["set", [1, 2, 3, 4, 5, 6]]),
            };
        }
        let max = ty.max.unwrap_or(4).min(4) + usize::from(self.errs(4));
        let count = self.rng.usize(ty.min..=max.max(ty.min));
        if let Some(value) = &ty.value {
            let mut pairs: Vec<(Value, Value)> = Vec::new();
            for _ in 0..count {
                let key = self.atom(&ty.key);
                if pairs.iter().all(|(other, _)| *other != key) {
                    pairs.push((key, self.atom(value)));
                }
            }
            return json!(["map", pairs]);
        }
        let mut atoms: Vec<Value> = Vec::new();
        for _ in 0..count {
            let atom = self.atom(&ty.key);
            if !atoms.contains(&atom) {
                atoms.push(atom);
            }
        }
        match &atoms[..] {
            [atom] if self.rng.bool() => atom.clone(),
            _ => json!(["set", atoms]),
        }
    }

    fn atom(&mut self, base: &BaseType) -> Value {
        if let Some(allowed) = &base.allowed {
            return match self.errs(10) {
                true => json!("not allowed"),
                false => json!(allowed[self.rng.usize(..allowed.len())]),
            };
        }
        match base.atom_type {
            AtomType::Integer if self.errs(5) => json!(1000),
            AtomType::Integer if self.chance(5) && base.max.is_none() => json!(i64::MAX),
            AtomType::Integer => json!(self.rng.i64(if base.min.is_some() { 0 } else { -3 }..4)),
            AtomType::Real if self.errs(5) => json!(1e9),
            AtomType::Real => json!(self.rng.i64(-4..8) as f64 / 2.0),
            AtomType::Boolean => json!(self.rng.bool()),
            AtomType::String => {
                let texts = ["", "a", "bc", "é", "\"\\", "def"];
                let longer = base.max_length.is_none() || self.errs(20);
                let count = if longer { texts.len() } else { 5 };
                json!(texts[self.rng.usize(..count)])
            }
            AtomType::Uuid => {
                let table = base
                    .reference
                    .as_ref()
                    .map_or("none", |to| to.table.as_str());
                match self.rng.u8(..100) {
                    0..6 if table != "none" && self.may_name => {
                        json!(["named-uuid", format!("n{}", self.rng.u8(..3))])
                    }
                    _ => json!(["uuid", self.uuid(table)]),
                }
            }
        }
    }
}
