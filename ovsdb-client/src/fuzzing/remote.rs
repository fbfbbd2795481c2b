use crate::remote::Remote;

/// What is read as a remote is written so that it is read as the same again.
pub fn remote(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(remote) = text.parse::<Remote>() else {
        return;
    };
    let written = remote.to_string();
    assert_eq!(written.parse::<Remote>().as_ref(), Ok(&remote), "{written}");
}
