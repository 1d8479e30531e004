//! What comes from outside, made fit for a terminal, a log and `kubectl describe`.

use std::fmt::Write;

/// Printable ASCII as it is, `\\`, `\n`, `\r`, `\t`, every other byte as `\xNN`: no control byte, no escape
/// sequence and no broken UTF-8 gets through, and the text can be read back.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b' '..=b'~' => text.push(char::from(*byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(text, "\\x{byte:02x}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_becomes_printable_and_can_be_told_apart() {
        let mut seen = std::collections::HashSet::new();
        for byte in 0..=255 {
            let text = escape(&[byte]);
            assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{byte}: {text}");
            assert!(seen.insert(text), "{byte}");
        }
        assert_eq!(escape(b"a b\n\r\t\\\x1b[31m\xff\x7f"), "a b\\n\\r\\t\\\\\\x1b[31m\\xff\\x7f");
        assert_eq!(escape(b""), "");
    }
}
