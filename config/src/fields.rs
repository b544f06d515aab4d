//! Changes of header fields, compiled: a list that is carried out from its start to its end.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Fields that frame a message or belong to one connection (RFC 9110 section 7.6.1): they say how it travels, not what it
/// says, and changing them breaks both.
pub static FRAMING: [HeaderName; 11] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Changes of the fields of a request or of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub(crate) Box<[Edit]>);

/// Changes of both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// On requests to targets.
    pub request: Fields,
    /// On answers.
    pub response: Fields,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// One more value of a field, behind those it has.
    Add(HeaderName, HeaderValue),
    /// All values of a field go.
    Remove(HeaderName),
    /// One value in place of all.
    Set(HeaderName, HeaderValue),
}

impl Fields {
    /// The changes, in order.
    pub fn edits(&self) -> &[Edit] {
        &self.0
    }

    /// Carries them out.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for edit in &self.0 {
            match edit {
                Edit::Add(name, value) => drop(headers.append(name, value.clone())),
                Edit::Remove(name) => drop(headers.remove(name)),
                Edit::Set(name, value) => drop(headers.insert(name, value.clone())),
            }
        }
    }
}
