//! What is left out of requests that are written down.

use http::{HeaderName, Uri};

/// Fields, and parameters of the query, whose values are secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    fields: Box<[HeaderName]>,
    parameters: Box<[Box<str>]>,
}

impl Redaction {
    /// Of rules as in the file: `header:NAME`, `query:NAME`.
    ///
    /// # Errors
    /// The first that is none.
    pub fn new(rules: &[impl AsRef<str>]) -> Result<Self, String> {
        let (mut fields, mut parameters) = (Vec::new(), Vec::new());
        for rule in rules {
            match Rule::read(rule.as_ref())? {
                Rule::Field(name) => fields.push(name),
                Rule::Parameter(name) => parameters.push(name),
            }
        }
        Ok(Self {
            fields: fields.into(),
            parameters: parameters.into(),
        })
    }

    /// Whether the field `name` is left out.
    pub fn hides_field(&self, name: &HeaderName) -> bool {
        self.fields.contains(name)
    }

    /// Path and query of `uri`, with `-` for the values of parameters that are secrets.
    pub fn uri(&self, uri: &Uri) -> String {
        let Some(query) = uri.query().filter(|_| !self.parameters.is_empty()) else {
            return uri
                .path_and_query()
                .map_or("/", |it| it.as_str())
                .to_owned();
        };
        let parts = query.split('&').map(|part| match part.split_once('=') {
            Some((name, _))
                if self
                    .parameters
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(name)) =>
            {
                format!("{name}=-")
            }
            _ => part.to_owned(),
        });
        format!("{}?{}", uri.path(), parts.collect::<Vec<_>>().join("&"))
    }
}

enum Rule {
    Field(HeaderName),
    Parameter(Box<str>),
}

impl Rule {
    fn read(rule: &str) -> Result<Self, String> {
        let none =
            || format!("`{rule}` is nothing to leave out; write `header:NAME` or `query:NAME`");
        match rule.split_once(':') {
            Some(("header", name)) => name.parse().map(Self::Field).map_err(|_| none()),
            Some(("query", name)) if !name.is_empty() => Ok(Self::Parameter(name.into())),
            _ => Err(none()),
        }
    }
}
