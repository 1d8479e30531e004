//! The report for people: line 1 the verdict, line 2 the cause, then what it rests on.

use crate::diagnose::{Diagnosis, wording};
use crate::evidence::tail::Tail;

/// `kubectl describe` shows the lines below `Message:`.
const INDENT: &str = "      ";

/// Line 1.
#[must_use]
pub fn verdict(diagnosis: &Diagnosis) -> String {
    format!("rinit: {}", diagnosis.verdict)
}

/// Line 2: machines look for it.
fn cause(diagnosis: &Diagnosis) -> String {
    format!("{INDENT}cause: {} ({})", diagnosis.cause.id, diagnosis.confidence.as_str())
}

/// The whole report without a final newline, in at most `limit` bytes. Lines give way from the least needed one on,
/// item by item; the first line is cut only when nothing but the first two is left. Too long if not even that fits.
#[must_use]
pub fn render(diagnosis: &Diagnosis, limit: usize) -> String {
    let notes = diagnosis.notes.iter().map(|note| note.summary.as_str());
    let mut evidence: Vec<_> = diagnosis.evidence.iter().map(String::as_str).chain(notes).collect();
    let mut ruled_out: Vec<_> = diagnosis.ruled_out.iter().map(String::as_str).collect();
    let mut not_known: Vec<_> = diagnosis.not_known.iter().map(String::as_str).collect();
    let mut next: Vec<_> = Some(diagnosis.next.as_str()).filter(|next| !next.is_empty()).into_iter().collect();

    let (first, second) = (verdict(diagnosis), cause(diagnosis));
    loop {
        let mut text = format!("{first}\n{second}");
        for (key, items) in
            [("evidence", &evidence), ("ruled out", &ruled_out), ("not known", &not_known), ("next", &next)]
        {
            if !items.is_empty() {
                text += &format!("\n{INDENT}{key}: {}", items.join("; "));
            }
        }
        if text.len() <= limit {
            return text;
        }
        let dropped = [&mut not_known, &mut ruled_out, &mut evidence, &mut next].into_iter().find_map(Vec::pop);
        if dropped.is_none() {
            // A first line of nothing but the mark would be none.
            let room = limit.saturating_sub(second.len() + 1).max("rinit: ...".len());
            return cut(&first, room) + "\n" + &second;
        }
    }
}

/// `text` with the last lines that the program wrote, the newest as far as there is room: what comes after the keys, and
/// goes before they do. Not if the verdict quotes the only one.
#[must_use]
pub fn with_last_lines(text: String, tail: &Tail, limit: usize) -> String {
    const HEADING: &str = "\n      last lines:";
    let verdict = text.lines().next().unwrap_or_default();
    if let [only] = tail.shown()
        && verdict.ends_with(&wording::quote(only.text.trim_ascii()))
    {
        return text;
    }
    let mut room = limit.saturating_sub(text.len() + HEADING.len());
    let mut lines = Vec::new();
    for line in tail.shown().iter().rev().filter(|line| !line.text.trim_ascii().is_empty()) {
        let line = format!("\n{INDENT}  {}", wording::line(&line.text));
        let Some(left) = room.checked_sub(line.len()) else { break };
        room = left;
        lines.push(line);
    }
    if lines.is_empty() {
        return text;
    }
    lines.push(HEADING.to_owned());
    lines.push(text);
    lines.reverse();
    lines.concat()
}

/// `text`, which is ASCII, in at most `limit` bytes, with `...` where it was cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    const MARK: &str = "...";
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(MARK.len());
    let mark = MARK.get(..limit.min(MARK.len())).unwrap_or_default();
    text.get(..room).unwrap_or_default().to_owned() + mark
}
