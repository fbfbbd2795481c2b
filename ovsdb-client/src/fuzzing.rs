//! The laws that hold for every input: one function each, which panics where its law is broken.
//!
//! `fuzz/` searches for inputs that break them, and the test below replays those that it found
//! worth keeping. The module exists for these two only.

mod cluster_status;
mod file;
mod framer;
mod remote;
mod schema;
mod value;

pub use crate::replica::fuzzing::replica;
pub use crate::transport::fuzzing::envelope;
pub use cluster_status::cluster_status;
pub use file::file;
pub use framer::framer;
pub use remote::remote;
pub use schema::schema;
pub use value::value;

/// The parts of an input that zero bytes keep apart, as text; `None` when there are fewer.
///
/// Several texts in one input, without a format that the fuzzer would have to learn.
pub(crate) fn texts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut parts = std::str::from_utf8(data).ok()?.splitn(N, '\0');
    let mut texts = [""; N];
    for text in &mut texts {
        *text = parts.next()?;
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs a law over its corpus.
    fn replay(target: &str, law: fn(&[u8])) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        if !directory.exists() {
            // A published crate comes without it.
            let required = std::env::var("OFM_TEST_REQUIRE").is_ok_and(|what| what == "all");
            assert!(!required, "the corpus is missing and OFM_TEST_REQUIRE=all");
            #[expect(clippy::print_stderr, reason = "a skipped test says so")]
            {
                eprintln!("skipped: {} is missing", directory.display());
            }
            return;
        }
        let files = std::fs::read_dir(directory.join(target)).unwrap();
        let mut count = 0;
        for file in files {
            law(&std::fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 0, "the corpus of {target} is empty");
    }

    macro_rules! corpus {
        ($($target:ident)*) => {$(
            #[test]
            fn $target() {
                replay(stringify!($target), super::$target);
            }
        )*};
    }

    corpus! { cluster_status envelope file framer remote replica schema value }
}
