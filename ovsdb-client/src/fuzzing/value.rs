use serde_json::Value;

use crate::value::{Datum, Row};

/// What is read as a value is written so that it is read as the same again, and it does not matter
/// whether it is read from text or out of a larger document.
pub fn value(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(datum) = serde_json::from_str::<Datum>(text) {
        let written =
            serde_json::to_string(&datum).expect("JSON has no number that it cannot write");
        let again = serde_json::from_str::<Datum>(&written).expect("what is written can be read");
        assert_eq!(again, datum, "{written}");
        let document: Value = serde_json::from_str(text).expect("a datum is JSON");
        let inner = serde_json::from_value::<Datum>(document).expect("a datum stays one");
        assert_eq!(inner, datum);
        // The accessors agree on how many elements there are.
        assert_eq!(datum.as_atom().is_some(), datum.set_iter().count() == 1);
        assert_eq!(
            datum.len(),
            datum.set_iter().count() + datum.map_iter().count()
        );
    }
    if let Ok(row) = serde_json::from_str::<Row>(text) {
        let written = serde_json::to_string(&row).expect("JSON has no number that it cannot write");
        let again = serde_json::from_str::<Row>(&written).expect("what is written can be read");
        assert_eq!(again, row, "{written}");
    }
}
