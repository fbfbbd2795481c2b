//! The kernel's explanation in an error message: its extended acknowledgement.

use netlink_packet_core::{NLM_F_ACK_TLVS, NLM_F_CAPPED, NlasIterator, parse_string};

const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG`.
const TEXT: u16 = 1;

/// The text in an error message, of which `flags` are its header's and `body` is everything after the error number: the
/// request's header, the rest of the request unless it was capped, and the attributes.
pub(crate) fn explanation(flags: u16, body: &[u8]) -> Option<String> {
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = if flags & NLM_F_CAPPED != 0 {
        HEADER
    } else {
        let length = body.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))?;
        usize::try_from(length).ok()?.checked_next_multiple_of(4)?
    };
    NlasIterator::new(body.get(request..)?)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == TEXT)
        .and_then(|attribute| parse_string(attribute.value()).ok())
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn request(length: u32, kept: usize) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.resize(kept, 0xff);
        bytes
    }

    #[test]
    fn a_capped_request_is_a_header_only() {
        let body = [
            request(200, 16),
            attribute(2, &[0; 4]),
            attribute(1, b"mtu greater than device maximum\0"),
        ]
        .concat();
        let text = explanation(NLM_F_CAPPED | NLM_F_ACK_TLVS, &body);
        assert_eq!(text.as_deref(), Some("mtu greater than device maximum"));
    }

    #[test]
    fn a_whole_request_is_padded() {
        let body = [request(21, 24), attribute(1, b"no\0")].concat();
        assert_eq!(explanation(NLM_F_ACK_TLVS, &body).as_deref(), Some("no"));
    }

    #[test]
    fn without_the_flag_there_is_no_text() {
        let body = [request(16, 16), attribute(1, b"no\0")].concat();
        assert_eq!(explanation(NLM_F_CAPPED, &body), None);
    }

    #[test]
    fn a_broken_message_has_no_text() {
        let whole = [request(16, 16), attribute(1, b"text\0")].concat();
        for cut in 0..22 {
            assert_eq!(explanation(NLM_F_ACK_TLVS, &whole[..cut]), None, "{cut}");
            assert_eq!(
                explanation(NLM_F_ACK_TLVS | NLM_F_CAPPED, &whole[..cut]),
                None,
                "{cut}"
            );
        }
        let absurd = request(u32::MAX, 32);
        assert_eq!(explanation(NLM_F_ACK_TLVS, &absurd), None);
    }
}
