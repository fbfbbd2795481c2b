use crate::frame::{FrameError, Framer};

/// However a stream is cut, the frames are the same, and so is the error that ends them.
///
/// The first byte is the limit, the second the number of cuts, the bytes after it where they are;
/// the rest is the stream.
pub fn framer(data: &[u8]) {
    let [limit, count, rest @ ..] = data else {
        return;
    };
    let limit = usize::from(*limit);
    let count = usize::from(count % 8).min(rest.len());
    let (cuts, stream) = rest.split_at(count);
    let mut cuts: Vec<_> = cuts
        .iter()
        .map(|&cut| usize::from(cut) % (stream.len() + 1))
        .collect();
    cuts.sort_unstable();

    let whole = frames(limit, &[stream]);
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([stream.len()]);
    let pieces: Vec<_> = starts
        .zip(ends)
        .map(|(start, end)| &stream[start..end])
        .collect();
    assert_eq!(frames(limit, &pieces), whole);
    let bytes: Vec<_> = stream.chunks(1).collect();
    assert_eq!(frames(limit, &bytes), whole);

    // Nothing is invented, lost or reordered: between the frames there is white space only.
    let mut rest = stream;
    for frame in &whole.frames {
        assert!(frame.len() <= limit);
        rest = rest.trim_ascii_start();
        rest = rest
            .strip_prefix(frame.as_slice())
            .expect("a frame is a part of the stream");
    }
    match whole.error {
        None => assert_eq!(rest.trim_ascii_start().len(), whole.unfinished),
        Some(FrameError::NotAnObject { byte, offset }) => {
            let rest = rest.trim_ascii_start();
            assert_eq!(rest.first(), Some(&byte));
            assert_eq!(offset as usize, stream.len() - rest.len());
        }
        Some(FrameError::TooLarge { .. }) => assert!(rest.len() > limit),
    }
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Framed {
    frames: Vec<Vec<u8>>,
    error: Option<FrameError>,
    unfinished: usize,
}

fn frames(limit: usize, pieces: &[&[u8]]) -> Framed {
    let mut framer = Framer::with_limit(limit);
    let mut framed = Framed {
        frames: Vec::new(),
        error: None,
        unfinished: 0,
    };
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => framed.frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    framed.error = Some(error);
                    return framed;
                }
            }
        }
        assert!(
            framer.unfinished() <= limit,
            "no more is kept than the limit"
        );
    }
    framed.unfinished = framer.unfinished();
    framed
}
