//! Single values of a command line.

use std::fmt;
use std::str::FromStr;

/// `ecs=30`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolWeight {
    /// Name of the pool.
    pub pool: String,
    /// Its weight.
    pub weight: u32,
}

/// `Name: value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of a header.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// Why a text is not an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnArgument(String);

impl NotAnArgument {
    pub(super) const fn new(why: String) -> Self {
        Self(why)
    }
}

/// The largest weight.
const LARGEST_WEIGHT: u32 = 1_000_000;

impl FromStr for PoolWeight {
    type Err = NotAnArgument;

    fn from_str(text: &str) -> Result<Self, NotAnArgument> {
        let Some((pool, weight)) = text.split_once('=').filter(|(pool, _)| !pool.is_empty()) else {
            return Err(NotAnArgument("expected POOL=WEIGHT, as in ecs=30".into()));
        };
        match weight.parse() {
            Ok(weight) if weight <= LARGEST_WEIGHT && !text.contains('+') => Ok(Self {
                pool: pool.to_owned(),
                weight,
            }),
            _ => Err(NotAnArgument(format!(
                "weight `{weight}` is not a whole number from 0 to {LARGEST_WEIGHT}"
            ))),
        }
    }
}

/// `5%` or `5`: a part, 0 to 1.
pub(super) fn part(text: &str) -> Result<f64, NotAnArgument> {
    let percent = text.strip_suffix('%').unwrap_or(text).trim_end();
    match percent.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err(NotAnArgument("expected 0% to 100%, as in 5%".into())),
    }
}

impl fmt::Display for PoolWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pool, self.weight)
    }
}

impl FromStr for Field {
    type Err = NotAnArgument;

    fn from_str(text: &str) -> Result<Self, NotAnArgument> {
        let expected = || NotAnArgument("expected 'NAME: VALUE', as in 'X-Canary: on'".into());
        let (name, value) = text.split_once(':').ok_or_else(expected)?;
        let value = value.trim();
        let valid =
            http::HeaderName::from_str(name).is_ok() && http::HeaderValue::from_str(value).is_ok();
        if !valid {
            return Err(expected());
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// A cookie as `--cookie` takes it.
pub(super) fn cookie(text: &str) -> Result<String, NotAnArgument> {
    let named = text
        .split_once('=')
        .is_some_and(|(name, _)| !name.is_empty());
    if !named || text.contains(';') || http::HeaderValue::from_str(text).is_err() {
        return Err(NotAnArgument("expected NAME=VALUE".into()));
    }
    Ok(text.to_owned())
}
