//! Values that are neither lists nor tables: whether they have an allowed form, and how to say what is expected.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::{Number, Value as Json};

use crate::document::Value;
use crate::hours::Hours;
use crate::probe::Probe;
use crate::schema::{self, Allowed, Kind};
use crate::units::{Amount, Cidr, Duration, Size, Term};

type Form = (Kind, &'static Json);

/// The value as one of the forms, or what is wrong with it.
pub(super) fn check(value: &Value, allowed: &Allowed) -> Result<Json, String> {
    let form = |wanted| allowed.form(wanted);
    let number = form(Kind::Integer).or_else(|| form(Kind::Number));
    match (value, number, form(Kind::Text), form(Kind::Switch)) {
        (Value::Text(text), _, Some((_, form)), _) => check_text(text, &allowed.words, form),
        (Value::Integer(number), Some((Kind::Integer, form)), _, _) => integer(*number, form),
        (Value::Integer(number), Some((_, form)), _, _) => fraction(*number as f64, form),
        (Value::Number(number), Some((Kind::Number, form)), _, _) => fraction(*number, form),
        (Value::Switch(switch), _, _, Some(_)) => Ok(Json::Bool(*switch)),
        _ => Err(format!(
            "expected {}, found {}",
            expected(&allowed.forms),
            found(value)
        )),
    }
}

fn check_text(text: &str, words: &[(&str, &str)], form: &Json) -> Result<Json, String> {
    if !words.is_empty() && !words.iter().any(|(word, _)| *word == text) {
        let allowed = alternatives(words.iter().map(|(word, _)| format!("`{word}`")));
        return Err(format!("{text:?} is not allowed here; write {allowed}"));
    }
    match form["format"].as_str() {
        Some("cidr") => parse::<Cidr>(text),
        Some("duration") => parse::<Duration>(text),
        Some("term") => parse::<Term>(text),
        Some("size") => parse::<Size>(text),
        Some("amount") => parse::<Amount>(text),
        Some("hours") => parse::<Hours>(text),
        Some("probe") => parse::<Probe>(text),
        _ => Ok(()),
    }
    .map(|()| Json::from(text))
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<(), String> {
    text.parse::<T>()
        .map(drop)
        .map_err(|error| error.to_string())
}

fn integer(number: i128, form: &Json) -> Result<Json, String> {
    let (lowest, highest) = schema::bounds(form);
    match i64::try_from(number) {
        Ok(number) if (lowest..=highest).contains(&number.into()) => Ok(number.into()),
        _ if lowest == highest => Err(format!("must be {lowest}, found {number}")),
        Ok(_) => Err(format!(
            "must be from {lowest} to {highest}, found {number}"
        )),
        Err(_) => Err(format!(
            "must be from {lowest} to {highest}, found a number far outside"
        )),
    }
}

fn fraction(number: f64, form: &Json) -> Result<Json, String> {
    let lowest = form["minimum"].as_f64().unwrap_or(f64::MIN);
    let highest = form["maximum"].as_f64().unwrap_or(f64::MAX);
    let allowed = (lowest..=highest).contains(&number);
    match Number::from_f64(number).filter(|_| allowed) {
        Some(number) => Ok(Json::Number(number)),
        None => Err(format!(
            "must be a number from {lowest} to {highest}, found {number}"
        )),
    }
}

/// What the forms ask for, as in `a string or a list`.
pub(super) fn expected(forms: &[Form]) -> String {
    let words = schema::words(forms);
    if !words.is_empty() {
        return alternatives(words.iter().map(|(word, _)| format!("`{word}`")));
    }
    let mut phrases: Vec<_> = forms
        .iter()
        .map(|(kind, form)| phrase(*kind, form))
        .collect();
    phrases.dedup();
    alternatives(phrases.into_iter())
}

fn phrase(kind: Kind, form: &Json) -> String {
    let phrase = match (kind, form["format"].as_str()) {
        (Kind::Text, Some("cidr")) => "a network as \"10.0.0.0/8\"",
        (Kind::Text, Some("duration")) => "a duration as \"10s\"",
        (Kind::Text, Some("term")) => "a duration as \"10s\", or \"never\"",
        (Kind::Text, Some("size")) => "a size as \"16KiB\"",
        (Kind::Text, Some("amount")) => "a number or a percentage as \"50%\"",
        (Kind::Text, Some("hours")) => "hours as \"Mon-Thu 10:00-17:00 Asia/Tokyo\"",
        (Kind::Text, Some("probe")) => "an address as \"http://www.example.com/healthz\"",
        (Kind::Text, _) => "a string",
        (Kind::Integer, _) => match schema::bounds(form) {
            (lowest, highest) if lowest == highest => return lowest.to_string(),
            _ => "a whole number",
        },
        (Kind::Number, _) => "a number",
        (Kind::Switch, _) => "true or false",
        (Kind::List, _) => "a list",
        (Kind::Table, _) => "a table",
    };
    phrase.to_owned()
}

fn found(value: &Value) -> String {
    match value {
        Value::Broken => "something unreadable".into(),
        Value::Null => "null".into(),
        Value::Switch(switch) => switch.to_string(),
        Value::Integer(number) => format!("the number {number}"),
        Value::Number(number) => format!("the number {number}"),
        Value::Moment => "a date or time".into(),
        Value::Text(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
        Value::Text(_) => "a string".into(),
        Value::List(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(phrases: impl Iterator<Item = String>) -> String {
    let phrases: Vec<_> = phrases.collect();
    match phrases.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

/// A text of the right form that means nothing.
pub(super) fn harmless_text(forms: &[Form], form: &'static Json) -> &'static str {
    if let Some((word, _)) = schema::words(forms).first() {
        return word;
    }
    match form["format"].as_str() {
        Some("cidr") => "0.0.0.0/0",
        Some("duration" | "size" | "amount") => "0",
        _ => "",
    }
}
