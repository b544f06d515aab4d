//! What a route answers by itself: another address, or a fixed text. Plain values in, a reply out.

use std::sync::Arc;

use bytes::Bytes;
use config::action::{Action, Respond};
use config::flag::Favicon;
use config::redirect::{Asked, NoLocation, Redirect};
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::record::Cause;
use crate::respond::{self, Accept, Page};

/// An answer of our own, without what every answer of ours has.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, besides its length, our name and the request id.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Its body, which a HEAD is told the length of.
    pub body: Bytes,
}

/// Who asks, for the page that goes with an answer.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The request's id.
    pub request_id: &'a str,
    /// Its `Accept`.
    pub accept: Option<&'a [u8]>,
}

/// What `action` answers to `asked`; `None` when targets answer.
///
/// # Errors
/// What the request lacks, or what is wrong with the answer.
pub fn reply(
    action: &Action,
    asked: &Asked<'_>,
    reader: Reader<'_>,
) -> Result<Option<Reply>, Cause> {
    match action {
        Action::Forward(_) => Ok(None),
        Action::Redirect(redirect) => self::redirect(redirect, asked, reader).map(Some),
        Action::Respond(respond) => Ok(Some(fixed(respond))),
    }
}

/// The page of `status` as a reply.
pub fn page(status: StatusCode, reader: Reader<'_>) -> Reply {
    let accept = Accept::of(reader.accept);
    let Page { content_type, body } = respond::page(status, reader.request_id, accept);
    Reply {
        status,
        fields: vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))],
        body: body.into(),
    }
}

/// A redirect has a page too: not every client follows it.
fn redirect(redirect: &Redirect, asked: &Asked<'_>, reader: Reader<'_>) -> Result<Reply, Cause> {
    let location = redirect.location(asked).map_err(|why| match why {
        NoLocation::NoHost => Cause::BadRequest,
        NoLocation::TooLong => Cause::RedirectTooLong,
    })?;
    let location = HeaderValue::try_from(location).map_err(|_| Cause::Internal)?;
    let status = StatusCode::from_u16(redirect.status).map_err(|_| Cause::Internal)?;
    let mut reply = page(status, reader);
    reply.fields.push((header::LOCATION, location));
    Ok(reply)
}

/// A picture for flagged clients. No cache keeps it: it must be gone with the flag.
pub fn picture(favicon: &Favicon) -> Reply {
    let no_store = HeaderValue::from_static("no-store");
    let content_type = HeaderValue::from_static(favicon.content_type);
    Reply {
        status: StatusCode::OK,
        fields: vec![
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, no_store),
        ],
        body: Bytes::from_owner(Arc::clone(&favicon.bytes)),
    }
}

fn fixed(respond: &Respond) -> Reply {
    let content_type = (header::CONTENT_TYPE, respond.content_type.clone());
    let retry_after = respond.retry_after.clone();
    let retry_after = retry_after.map(|value| (header::RETRY_AFTER, value));
    let has_body = !respond.body.is_empty();
    Reply {
        // Checked when the file was compiled.
        status: StatusCode::from_u16(respond.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        fields: has_body
            .then_some(content_type)
            .into_iter()
            .chain(retry_after)
            .collect(),
        body: Bytes::from_owner(Arc::clone(&respond.body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'_> = Reader {
        request_id: "abc",
        accept: None,
    };

    #[track_caller]
    fn replied(route: &str, path: &str) -> Result<Reply, Cause> {
        let file = format!(
            "version = 1\nlisteners = [{{ name = 'a', bind = '127.0.0.1:0' }}]\n[[routes]]\nname = 'r'\n{route}"
        );
        let config = toml::from_str(&file).unwrap();
        let structure = config::snapshot::Structure::compile(&config).unwrap();
        let asked = Asked {
            secure: false,
            authority: "a.example:8080",
            port: None,
            path,
            query: "",
        };
        let reply = reply(&structure.routes[0].action, &asked, READER);
        reply.map(|reply| reply.expect("no pools"))
    }

    fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
        let field = reply.fields.iter().find(|(own, _)| own == name);
        field.map(|(_, value)| value.to_str().unwrap())
    }

    #[test]
    fn a_redirect_says_where_and_shows_a_page() {
        let reply = replied("redirect = { path = '/new', status = 308 }", "/old").unwrap();
        assert_eq!(reply.status, 308);
        assert_eq!(field(&reply, "location"), Some("http://a.example:8080/new"));
        assert!(reply.body.starts_with(b"<!doctype html>"));
        let long = "/".repeat(8 * 1024);
        let told = replied("redirect = { host = 'b.example' }", &long);
        assert_eq!(told, Err(Cause::RedirectTooLong));
    }

    #[test]
    fn a_fixed_answer_is_what_the_file_says() {
        let route = "respond = { status = 503, content_type = 'text/html', body = '<p>', retry_after = '2m' }";
        let reply = replied(route, "/").unwrap();
        assert_eq!((reply.status.as_u16(), &*reply.body), (503, &b"<p>"[..]));
        assert_eq!(field(&reply, "content-type"), Some("text/html"));
        assert_eq!(field(&reply, "retry-after"), Some("120"));
        let reply = replied("respond = { status = 204 }", "/").unwrap();
        assert_eq!((reply.fields.len(), reply.body.len()), (0, 0));
    }
}
