//! What is in a termination log already: a report of rinit's, or a message of PROGRAM's that is JSON.

/// How a JSON report begins.
const JSON_START: &[u8] = b"{\"schema\":1,\"cause\":{\"id\":\"";

/// Where the first report of rinit's begins in `content`: at the beginning of a line that has the verdict, followed
/// by the line that has the cause, or that begins as the JSON report does.
#[must_use]
pub fn find_report(content: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let rest = content.get(start..)?;
        let mut lines = rest.split(|byte| *byte == b'\n');
        let first = lines.next()?;
        if first.starts_with(JSON_START) || (first.starts_with(b"rinit: ") && lines.next().is_some_and(is_cause_line)) {
            return Some(start);
        }
        start += first.len() + 1;
    }
}

/// `      cause: ID (likely)`
fn is_cause_line(line: &[u8]) -> bool {
    const CONFIDENCE: [&[u8]; 4] = [b"certain)", b"likely)", b"possible)", b"unknown)"];
    let Some(cause) = line.strip_prefix(b"      cause: ") else { return false };
    let Some(space) = cause.iter().position(|byte| *byte == b' ') else { return false };
    let (id, rest) = cause.split_at(space);
    let is_id =
        !id.is_empty() && id.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    is_id && rest.strip_prefix(b" (").is_some_and(|word| CONFIDENCE.contains(&word))
}

/// Whether `content` is JSON: one object or array, or several (JSON lines), with nothing but blanks around them.
#[must_use]
pub fn is_json(content: &[u8]) -> bool {
    let mut rest = skip_blanks(content);
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        match container(rest) {
            Some(after) => rest = skip_blanks(after),
            None => return false,
        }
    }
    true
}

/// What follows the object or array at the beginning of `text`; `None` if there is no valid one.
///
/// What is open is kept in a list and not on the stack: a message of nothing but brackets does no harm.
fn container(text: &[u8]) -> Option<&[u8]> {
    let mut open = Vec::new();
    let mut rest = text;
    loop {
        // Here a value is due; in a container that was just opened its end will do.
        let byte = *rest.first()?;
        rest = match byte {
            b'{' | b'[' => {
                open.push(byte);
                let inner = skip_blanks(tail(rest));
                let empty = inner.first() == Some(&closing(byte));
                if !empty {
                    rest = if byte == b'{' { key(inner)? } else { inner };
                    continue;
                }
                inner
            }
            _ if open.is_empty() => return None,
            _ => skip_blanks(scalar(rest)?),
        };
        // Behind a value: close what ends here, then a comma must follow.
        while let Some(container) = open.last() {
            if rest.first() != Some(&closing(*container)) {
                break;
            }
            rest = tail(rest);
            open.pop();
            if open.is_empty() {
                return Some(rest);
            }
            rest = skip_blanks(rest);
        }
        rest = skip_blanks(rest.strip_prefix(b",")?);
        if open.last() == Some(&b'{') {
            rest = key(rest)?;
        }
    }
}

fn closing(opening: u8) -> u8 {
    if opening == b'{' { b'}' } else { b']' }
}

/// What follows `"key" :`.
fn key(text: &[u8]) -> Option<&[u8]> {
    Some(skip_blanks(skip_blanks(string(text)?).strip_prefix(b":")?))
}

/// What follows a string, a number, or one of the three words.
fn scalar(text: &[u8]) -> Option<&[u8]> {
    [b"true".as_slice(), b"false", b"null"]
        .iter()
        .find_map(|word| text.strip_prefix(*word))
        .or_else(|| string(text))
        .or_else(|| number(text))
}

fn string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        let (first, after) = rest.split_first()?;
        rest = match first {
            b'"' => return Some(after),
            b'\\' => match after.split_first()? {
                (b'u', hex) if hex.get(..4)?.iter().all(u8::is_ascii_hexdigit) => hex.get(4..)?,
                (b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', after) => after,
                _ => return None,
            },
            0..0x20 => return None,
            _ => after,
        };
    }
}

fn number(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text)?;
    // No number but 0 itself begins with 0.
    if text.first() == Some(&b'0') && text.len() - whole.len() > 1 {
        return None;
    }
    let rest = match whole.strip_prefix(b".") {
        Some(fraction) => digits(fraction)?,
        None => whole,
    };
    match rest.first() {
        Some(b'e' | b'E') => {
            let exponent = tail(rest);
            digits(exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent))
        }
        _ => Some(rest),
    }
}

/// What follows one digit or more.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 { None } else { text.get(end..) }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    text.get(blanks..).unwrap_or_default()
}

fn tail(text: &[u8]) -> &[u8] {
    text.get(1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_found_at_the_beginning_of_its_line() {
        let text = "rinit: sh exited\n      cause: exit-error (unknown)";
        for (content, at) in [
            (text.to_owned(), Some(0)),
            (format!("{text}\n      next: x"), Some(0)),
            (format!("boom\n{text}"), Some(5)),
            (format!("\n\n{text}"), Some(2)),
            (format!("rinit: not this\n{text}"), Some(16)),
            ("boom\n{\"schema\":1,\"cause\":{\"id\":\"x\"".to_owned(), Some(5)),
            (format!("boom {text}"), None),
            (" {\"schema\":1,\"cause\":{\"id\":\"x\"".to_owned(), None),
            ("{\"schema\":1,\"cause\":\"mine\"}".to_owned(), None),
            ("rinit: alone".to_owned(), None),
            ("rinit: alone\n".to_owned(), None),
            ("rinit: x\n      cause: y".to_owned(), None),
            ("rinit: x\n      cause: y (sure)".to_owned(), None),
            ("rinit: x\n      cause: y (certain) and more".to_owned(), None),
            ("rinit: x\n      cause:  (certain)".to_owned(), None),
            ("rinit: x\n\n      cause: y (certain)".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(find_report(content.as_bytes()), at, "{content}");
        }
    }

    #[test]
    fn json_is_told_from_what_looks_like_it() {
        for yes in [
            "{}",
            "[]",
            " \n{\"a\":1} \r\n",
            "[1,-2.5e+3,true,false,null,\"x\",[],{}]",
            "{\"a\":{\"b\":[{\"c\":\"\\\"}\\u00e9\\\\\"}]} , \"d\" : 0.1 }",
            "{\"a\":1}\n{\"b\":2}\n",
            "{\"\u{e9}\":\"\u{1f600}\"}",
            "[0]",
            "[0e5]",
        ] {
            assert!(is_json(yes.as_bytes()), "{yes}");
        }
        for no in [
            "",
            " ",
            "x",
            "1",
            "\"x\"",
            "null",
            "{",
            "}",
            "[",
            "{]",
            "[}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "[1 2]",
            "{a:1}",
            "{'a':1}",
            "[01]",
            "[1.]",
            "[.5]",
            "[+1]",
            "[-]",
            "[1e]",
            "[\"\\x41\"]",
            "[\"\\u12\"]",
            "[\"a\nb\"]",
            "[\"open]",
            "{} x",
            "x {}",
            "[INFO] started",
            "{\"a\":1",
            "[nul]",
            "[tru]",
            "[]]",
        ] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn no_cut_of_an_object_is_json_and_depth_does_no_harm() {
        let whole = b"{\"a\":[1,2,{\"b\":\"c\\\"\"}],\"d\":null}";
        for end in 0..whole.len() {
            assert!(!is_json(&whole[..end]), "{end}");
        }
        assert!(is_json(whole));
        let depth = 1_000_000 / crate::one_of(1000);
        let mut deep = vec![b'['; depth];
        assert!(!is_json(&deep));
        deep.extend(vec![b']'; depth]);
        assert!(is_json(&deep));
    }

    #[test]
    fn neither_a_scalar_nor_a_broken_escape_is_json() {
        for no in ["1", "1,[]", "true,{}", "\"x\"", "[\"\\u12x4\"]", "[\"\\u123\"]"] {
            assert!(!is_json(no.as_bytes()), "{no}");
        }
        assert!(is_json(b"[\"\\u12aF\"]"));
    }
}
