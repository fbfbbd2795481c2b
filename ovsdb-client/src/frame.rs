//! Cuts a byte stream into JSON objects.
//!
//! OVSDB puts neither a length nor a delimiter around its messages: each is a bare JSON object, several may arrive in
//! one read, and a database dump spans thousands of reads. [`Framer`] remembers where it is inside an object, so every
//! byte is looked at exactly once, however the stream is cut. It balances brackets and knows strings; whether what
//! lies between the braces is valid JSON is for the parser to say.

/// Largest message accepted unless told otherwise: 1 GiB.
///
/// A dump of a large southbound database is some tens of megabytes; the limit is there so that a peer that never
/// closes its brace cannot take all memory.
pub const DEFAULT_MESSAGE_LIMIT: usize = 1 << 30;

/// From this size on, in bytes, a message leaves with the buffer that it came in. A smaller one is
/// cheaper to copy than a new buffer is to make.
const LARGE: usize = 64 * 1024;

/// Why a byte stream is not a sequence of JSON objects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Something other than white space or `{` stands between two messages.
    #[error("byte {byte:#04x} where a JSON object should begin, {offset} bytes into the stream")]
    NotAnObject {
        /// The offending byte.
        byte: u8,
        /// Its position in the stream, from 0.
        offset: u64,
    },
    /// A message grew beyond the limit.
    #[error("a message is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// An incremental splitter of a byte stream into JSON objects.
///
/// ```
/// # use ovsdb_client::frame::Framer;
/// let mut framer = Framer::default();
/// framer.push(br#"{"id":0,"result":["}"#);
/// assert_eq!(framer.next_frame().unwrap(), None);
/// framer.push(br#""]}{"id":1}"#);
/// assert_eq!(framer.next_frame().unwrap().unwrap(), br#"{"id":0,"result":["}"]}"#);
/// assert_eq!(framer.next_frame().unwrap().unwrap(), br#"{"id":1}"#);
/// ```
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where in `buffer` the current message begins; what is before has been handed out.
    start: usize,
    /// Where in `buffer` the first byte is that has not been looked at.
    scanned: usize,
    /// Open braces and brackets at `scanned`; 0 is between two messages.
    depth: usize,
    /// Whether `scanned` is inside a string.
    text: Text,
    limit: usize,
    /// Stream position of the first byte of `buffer`, for error messages.
    offset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Inside, just after a backslash: the next byte means nothing.
    Escaped,
}

impl Default for Framer {
    fn default() -> Self {
        Self::with_limit(DEFAULT_MESSAGE_LIMIT)
    }
}

impl Framer {
    /// Makes a framer that refuses messages of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            depth: 0,
            text: Text::Outside,
            limit,
            offset: 0,
        }
    }

    /// Appends bytes that were read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.room().extend_from_slice(bytes);
    }

    /// The buffer, for a reader that appends to it without a copy between. It must only append.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        // At most one read is left over here, so moving it to the front is cheap.
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.scanned -= self.start;
        self.start = 0;
        &mut self.buffer
    }

    /// Number of bytes of a message that has begun and not ended; 0 when the stream may end here.
    ///
    /// Exact once [`next_frame`](Self::next_frame) has returned `None`.
    pub fn unfinished(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes the next whole message out of the buffer, or returns `None` when more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`FrameError`]; the stream has lost its structure then, and the framer is of no further use.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        if self.depth == 0 {
            self.skip_white_space()?;
        }
        let ended = self.scan();
        if self.scanned - self.start > self.limit {
            return Err(FrameError::TooLarge { limit: self.limit });
        }
        Ok(ended.then(|| self.cut()))
    }

    /// Drops white space before a message and checks that an object follows.
    fn skip_white_space(&mut self) -> Result<(), FrameError> {
        let pending = &self.buffer[self.start..];
        self.start += pending
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        self.scanned = self.start;
        match self.buffer.get(self.start) {
            None | Some(b'{') => Ok(()),
            Some(&byte) => {
                let offset = self.offset + self.start as u64;
                Err(FrameError::NotAnObject { byte, offset })
            }
        }
    }

    /// Looks at new bytes up to the end of the message; false when the message goes on.
    fn scan(&mut self) -> bool {
        for &byte in &self.buffer[self.scanned..] {
            self.scanned += 1;
            match (self.text, byte) {
                (Text::Escaped, _) => self.text = Text::Inside,
                (Text::Inside, b'\\') => self.text = Text::Escaped,
                (Text::Inside, b'"') => self.text = Text::Outside,
                (Text::Inside, _) => {}
                (Text::Outside, b'"') => self.text = Text::Inside,
                (Text::Outside, b'{' | b'[') => self.depth += 1,
                (Text::Outside, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return true;
                    }
                }
                (Text::Outside, _) => {}
            }
        }
        false
    }

    /// Takes the message that ends at `scanned`.
    fn cut(&mut self) -> Vec<u8> {
        let length = self.scanned - self.start;
        let rest = self.buffer.len() - self.scanned;
        if self.start == 0 && length >= LARGE && rest < length {
            // A dump of megabytes leaves with its allocation: no copy, and the memory is not kept.
            let rest = self.buffer.split_off(length);
            self.scanned = 0;
            self.offset += length as u64;
            return std::mem::replace(&mut self.buffer, rest);
        }
        let message = self.buffer[self.start..self.scanned].to_vec();
        self.start = self.scanned;
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Every message that comes out when `chunks` go in one by one.
    fn frames<'a>(
        framer: &mut Framer,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut frames = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"[\\"{}\[\]a-zé\n]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                object(inner),
            ]
        })
    }

    fn object(member: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        prop::collection::vec((r#"[\\"{}a-z]{0,4}"#, member), 0..5)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn the_cut_of_the_stream_does_not_matter(
            objects in prop::collection::vec((object(json()), r"[ \n\t]{0,2}"), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let messages: Vec<_> = objects.iter().map(|(object, _)| object.to_string().into_bytes()).collect();
            let stream: Vec<u8> = objects.iter().flat_map(|(object, blank)| format!("{blank}{object}").into_bytes()).collect();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let starts = std::iter::once(0).chain(cuts.iter().copied());
            let ends = cuts.iter().copied().chain([stream.len()]);
            let chunks = starts.zip(ends).map(|(start, end)| &stream[start..end]);

            let mut framer = Framer::default();
            prop_assert_eq!(frames(&mut framer, chunks), Ok(messages));
            prop_assert_eq!(framer.unfinished(), 0);
        }

        #[test]
        fn no_bytes_make_it_panic(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..16), 0..8)) {
            let _ = frames(&mut Framer::with_limit(64), chunks.iter().map(Vec::as_slice));
        }
    }

    #[test]
    fn garbage_between_messages_is_named_with_its_position() {
        let mut framer = Framer::default();
        assert_eq!(
            frames(&mut framer, [b"{} \n]".as_slice()]),
            Err(FrameError::NotAnObject {
                byte: b']',
                offset: 4
            })
        );
    }

    #[test]
    fn the_limit_holds_for_whole_and_for_endless_messages() {
        for stream in [r#"{"a":"0123456789"}"#, r#"{"a":"0123456789"#] {
            let mut framer = Framer::with_limit(12);
            assert_eq!(
                frames(&mut framer, [stream.as_bytes()]),
                Err(FrameError::TooLarge { limit: 12 })
            );
        }
        let mut framer = Framer::with_limit(12);
        assert_eq!(
            frames(&mut framer, [br#"{"a":"0123"}"#.as_slice()])
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn an_unfinished_message_is_counted() {
        let mut framer = Framer::default();
        assert_eq!(frames(&mut framer, [br#"  {"a":"#.as_slice()]), Ok(vec![]));
        assert_eq!(framer.unfinished(), 5);
    }
}
