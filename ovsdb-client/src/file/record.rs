//! Records of a log file: ovsdb(5), "File Format".

use sha1::{Digest, Sha1};

/// Frames one line of JSON as a record of a standalone database.
///
/// Length and SHA-1 cover the line with its final newline.
pub(super) fn record(json: &str) -> Vec<u8> {
    let line = format!("{json}\n");
    let digest = Sha1::digest(line.as_bytes());
    format!("OVSDB JSON {} {digest:x}\n{line}", line.len()).into_bytes()
}

/// Drops the white space between the tokens of a JSON text and changes nothing else.
pub(super) fn compact(json: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    let keep = |character: &char| {
        if escaped {
            escaped = false;
        } else if *character == '"' {
            inside = !inside;
        } else if inside && *character == '\\' {
            escaped = true;
        }
        inside || !character.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_and_hashes_its_newline() {
        let expected = "OVSDB JSON 3 5f36b2ea290645ee34d943220a14b54ee5ea5be5\n{}\n";
        assert_eq!(record("{}"), expected.as_bytes());
    }

    #[test]
    fn white_space_goes_only_from_between_tokens() {
        let json = "{ \"a b\" : [ 1 ,\n\t\"c \\\" d\\\\\" , {} ] }";
        assert_eq!(compact(json), r#"{"a b":[1,"c \" d\\",{}]}"#);
    }
}
