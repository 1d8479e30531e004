//! Judges JSON by the schemas in docs/: as much of JSON Schema 2020-12 as they use, and nothing is passed over: a keyword
//! that is not known here fails the test.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::OnceLock;

use regex_lite::Regex;
use serde_json::Value;

/// Checks a report of `--format json`.
#[track_caller]
pub fn validate(report: &[u8]) -> Value {
    static REPORT: OnceLock<Value> = OnceLock::new();
    check(report, REPORT.get_or_init(|| read(include_str!("../../docs/report.schema.json"))))
}

/// Checks the answer of `--check --format json`.
#[track_caller]
pub fn validate_check(answer: &[u8]) -> Value {
    static CHECK: OnceLock<Value> = OnceLock::new();
    check(answer, CHECK.get_or_init(|| read(include_str!("../../docs/check.schema.json"))))
}

/// The schema of the reports, to be tested with what must not pass.
pub fn of_reports() -> Value {
    read(include_str!("../../docs/report.schema.json"))
}

#[track_caller]
fn check(json: &[u8], schema: &Value) -> Value {
    let text = String::from_utf8_lossy(json);
    let value: Value = serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {text}"));
    let errors = errors(schema, &value);
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    value
}

fn read(text: &str) -> Value {
    let schema: Value = serde_json::from_str(text).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    schema
}

/// Everything in `value` that `schema` forbids.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    apply(schema, schema, value, "", &mut errors);
    errors
}

fn apply(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    for (keyword, argument) in schema.as_object().unwrap() {
        let mut fail = |what: String| errors.push(format!("{at}: {what}"));
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = argument.as_str().unwrap().strip_prefix('#').unwrap();
                apply(root, root.pointer(pointer).unwrap(), value, at, errors);
            }
            "type" => {
                let types = argument.as_array().cloned().unwrap_or_else(|| vec![argument.clone()]);
                if !types.iter().any(|name| is_of_type(value, name.as_str().unwrap())) {
                    fail(format!("{value} is no {argument}"));
                }
            }
            "const" if value != argument => fail(format!("{value} is not {argument}")),
            "enum" if !argument.as_array().unwrap().contains(value) => fail(format!("{value} is none of {argument}")),
            "const" | "enum" => {}
            "minimum" if value.as_f64().is_some_and(|number| number < argument.as_f64().unwrap()) => {
                fail(format!("{value} is less than {argument}"));
            }
            "maximum" if value.as_f64().is_some_and(|number| number > argument.as_f64().unwrap()) => {
                fail(format!("{value} is more than {argument}"));
            }
            "minimum" | "maximum" => {}
            "pattern" => {
                if let Some(text) = value.as_str()
                    && !regex(argument.as_str().unwrap()).is_match(text)
                {
                    fail(format!("{value} does not match {argument}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    apply(root, argument, item, &format!("{at}/{index}"), errors);
                }
            }
            "maxItems" => {
                if value.as_array().is_some_and(|items| items.len() as u64 > argument.as_u64().unwrap()) {
                    fail(format!("more than {argument} items"));
                }
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = argument.get(key) {
                        apply(root, schema, value, &format!("{at}/{key}"), errors);
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(argument, false);
                for key in value.as_object().into_iter().flatten().map(|(key, _)| key) {
                    if schema["properties"].get(key).is_none() {
                        fail(format!("has a key {key}"));
                    }
                }
            }
            "required" => {
                if value.is_object() {
                    lacking(value, argument).for_each(|key| fail(format!("lacks {key}")));
                }
            }
            "dependentRequired" => {
                for (key, needed) in argument.as_object().unwrap() {
                    if value.get(key).is_some() {
                        lacking(value, needed).for_each(|lacking| fail(format!("has {key} but lacks {lacking}")));
                    }
                }
            }
            "anyOf" | "oneOf" => {
                let schemas = argument.as_array().unwrap();
                let matching = schemas.iter().filter(|schema| {
                    let mut inner = Vec::new();
                    apply(root, schema, value, at, &mut inner);
                    inner.is_empty()
                });
                match matching.count() {
                    0 => fail(format!("matches none of {keyword}")),
                    2.. if keyword == "oneOf" => fail("matches more than one of oneOf".to_owned()),
                    _ => {}
                }
            }
            unknown => panic!("this validator does not know {unknown}"),
        }
    }
}

fn lacking<'a>(value: &'a Value, keys: &'a Value) -> impl Iterator<Item = &'a str> {
    keys.as_array().unwrap().iter().map(|key| key.as_str().unwrap()).filter(|key| value.get(key).is_none())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        // 1.0 is an integer (JSON Schema 2020-12, 4.2.3).
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        unknown => panic!("this validator does not know the type {unknown}"),
    }
}

/// Each pattern is compiled once.
fn regex(pattern: &str) -> Regex {
    static COMPILED: std::sync::Mutex<Vec<(String, Regex)>> = std::sync::Mutex::new(Vec::new());
    let mut compiled = COMPILED.lock().unwrap();
    if let Some((_, regex)) = compiled.iter().find(|(known, _)| known == pattern) {
        return regex.clone();
    }
    let regex = Regex::new(pattern).unwrap();
    compiled.push((pattern.to_owned(), regex.clone()));
    regex
}
