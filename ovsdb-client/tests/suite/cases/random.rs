//! Transactions of chance.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use ovsdb_client::value::{Datum, Row};
use ovsdb_client::{Client, Condition, Mutation, TransactError, Transaction};

use crate::case::Fixture;

/// Makes one transaction after another; of the same seed the same ones.
pub(super) struct Random {
    rng: Rng,
    seed: u64,
}

impl Random {
    /// Starts with the seed in OVSDB_TEST_SEED, or any other.
    pub(super) fn new() -> Self {
        let given = std::env::var("OVSDB_TEST_SEED").ok();
        let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
        Self {
            rng: Rng::with_seed(seed),
            seed,
        }
    }

    /// What to say when a law is broken.
    pub(super) fn blame(&self, round: usize) -> String {
        format!("round {round}; again with OVSDB_TEST_SEED={}", self.seed)
    }

    /// Carries out a transaction of some operations. It may break a rule of the schema, but no
    /// other.
    pub(super) async fn step(&mut self, fixture: &Fixture, client: &Client) {
        let mut txn = Transaction::new();
        for _ in 0..self.rng.usize(1..5) {
            self.operation(&mut txn);
        }
        match client.transact(&fixture.name, txn).await {
            Ok(_) | Err(TransactError::Commit { .. }) => {}
            Err(other) => panic!("{other}; {}", self.blame(0)),
        }
    }

    fn operation(&mut self, txn: &mut Transaction) {
        let thing = [Condition::eq("name", self.name())];
        match self.rng.u8(..10) {
            0..4 => {
                let row = self.row().set("name", self.name());
                let row = match self.rng.bool() {
                    true => row,
                    false => {
                        let part = txn.insert("Part", Row::new().set("name", self.name()));
                        row.set("parts", [part])
                    }
                };
                txn.insert("Thing", row);
            }
            4..6 => {
                let row = self.row();
                txn.update("Thing", thing, row);
            }
            6..9 => {
                let mutations = [
                    Mutation::insert("numbers", self.numbers()),
                    Mutation::delete("numbers", self.numbers()),
                    Mutation::insert("options", self.options()),
                    Mutation::delete("options", self.options()),
                    Mutation::delete("options", [self.key()]),
                    Mutation::add("number", self.rng.i64(-3..3)),
                ];
                let some = mutations.into_iter().filter(|_| self.rng.bool());
                let some: Vec<_> = some.collect();
                txn.mutate("Thing", thing, some);
            }
            _ => {
                txn.delete("Thing", thing);
            }
        }
    }

    /// Some columns of a thing.
    fn row(&mut self) -> Row {
        let mut row = Row::new();
        let values = [
            ("number", self.rng.i64(0..4).into()),
            ("real", (self.rng.f64() * 4.0).into()),
            ("flag", self.rng.bool().into()),
            ("level", self.rng.bool().then(|| self.rng.i64(0..3)).into()),
            (
                "mode",
                self.rng.choice(["auto", "on", "off"]).unwrap().into(),
            ),
            ("numbers", self.numbers()),
            ("words", self.words()),
            ("options", self.options()),
        ];
        for (column, value) in values {
            if self.rng.bool() {
                row.insert(column, value);
            }
        }
        row
    }

    fn name(&mut self) -> String {
        format!("thing {}", self.rng.u8(..12))
    }

    fn key(&mut self) -> &'static str {
        self.rng.choice(["a", "b", "c"]).unwrap()
    }

    fn numbers(&mut self) -> Datum {
        let count = self.rng.usize(..12);
        let numbers: BTreeSet<_> = (0..count).map(|_| self.rng.i64(0..30)).collect();
        Datum::set(numbers)
    }

    fn words(&mut self) -> Datum {
        let count = self.rng.usize(..3);
        let words: BTreeSet<_> = (0..count).map(|_| self.key()).collect();
        Datum::set(words)
    }

    fn options(&mut self) -> Datum {
        let count = self.rng.usize(..3);
        let pairs = (0..count).map(|_| (self.key(), self.rng.u8(..3).to_string()));
        Datum::from(pairs.collect::<BTreeMap<_, _>>())
    }
}
