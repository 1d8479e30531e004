//! Rows as aligned lines, or as JSON.

use super::rows::Row;
use crate::report::json_string;

/// `key  value. Remark.`, one line each.
pub(super) fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.key.len()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for Row { key, value, remark } in rows {
        let words = [format!("{key:width$}{value}"), remark.join(". ")].join(if remark.is_empty() { "" } else { ". " });
        text += &words;
        text.push('\n');
    }
    text
}

/// `{"schema":1,"rinit":"0.1.0","facts":{"pid":{"value":"1","remarks":[]},...}}`
pub(super) fn json(rows: &[Row]) -> String {
    let fact = |row: &Row| {
        let remarks: Vec<_> = row.remark.iter().map(|remark| json_string(remark)).collect();
        let key = json_string(&row.key.replace(' ', "_"));
        format!("{key}:{{\"value\":{},\"remarks\":[{}]}}", json_string(&row.value), remarks.join(","))
    };
    let facts: Vec<_> = rows.iter().map(fact).collect();
    format!("{{\"schema\":1,\"rinit\":\"{}\",\"facts\":{{{}}}}}\n", env!("CARGO_PKG_VERSION"), facts.join(","))
}
