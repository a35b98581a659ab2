//! Puts any text into one segment of an address.
//!
//! **Invariant:** what comes out has no character that ends a segment, so an id never chooses what
//! is asked.

use std::fmt::Write as _;

/// Percent-encodes everything but the characters that RFC 3986 calls unreserved. `.` and `..` still
/// mean "here" and "one up": they are no ids, and callers refuse them.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_segment_and_comes_back(text in ".*") {
            let encoded = segment(&text);
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            prop_assert!(encoded.bytes().all(plain));
            let read: Vec<_> = url::form_urlencoded::parse(encoded.as_bytes()).collect();
            let expected = if text.is_empty() { None } else { Some(text.as_str()) };
            prop_assert_eq!(read.first().map(|(name, _)| name.as_ref()), expected);
        }
    }
}
