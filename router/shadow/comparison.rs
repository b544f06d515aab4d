//! From what the pools said to what is written into the route's ledger.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};

use super::copy::{Copy, Served};
use super::kept::Kept;
use super::worker::Said;
use crate::diff::{Body, Page, Skipped, Times, Trial, endpoint, page};

/// Compares the answers to the request of `copy`; `control` is `None` without noise control, and holds nothing when the second
/// call had no answer.
pub(super) fn compare(copy: &Copy, shadow: Option<&Said>, control: Option<Option<&Said>>) {
    // The ledger is held for counting alone: who looks at it waits for no answer to be read.
    match pages(copy, shadow, control) {
        Err(why) => copy.mirror.ledger().skip(why),
        Ok((served, pages)) => {
            let request_id = copy.headers.get("x-request-id");
            let request_id = request_id.and_then(|id| id.to_str().ok());
            let trial = Trial {
                endpoint: &endpoint(copy.method.as_str(), copy.uri.path()),
                request_id: request_id.unwrap_or_default(),
                serving: &pages[0],
                shadow: &pages[1],
                control: pages.get(2),
                times: Times {
                    serving: served.time,
                    shadow: shadow.map(|said| said.answer.time).unwrap_or_default(),
                    control: control.flatten().map(|said| said.answer.time),
                },
            };
            copy.mirror.ledger().take(&trial);
        }
    }
}

/// The answers of serving pool, shadow pool and control.
fn pages<'a>(
    copy: &'a Copy,
    shadow: Option<&Said>,
    control: Option<Option<&Said>>,
) -> Result<(&'a Served, Vec<Page>), Skipped> {
    let served = copy.served.as_ref().ok_or(Skipped::Serving)?;
    if served.status == StatusCode::NOT_MODIFIED {
        return Err(Skipped::NotModified);
    }
    let shadow = shadow.ok_or(Skipped::Shadow)?;
    let ignored = |facet: &str| copy.mirror.shadow.ignores(facet);
    let of = |status: StatusCode, headers: &HeaderMap, body: &Kept, whole| {
        page(status.as_u16(), headers, &bytes(body, whole), &ignored)
    };
    let said = |said: &Said| {
        let answer = &said.answer;
        of(answer.status, &answer.headers, &said.body, answer.whole)
    };
    let mut pages = vec![
        of(served.status, &served.headers, &served.body, served.whole),
        said(shadow),
    ];
    if copy.mirror.shadow.noise() {
        let control = control.flatten().ok_or(Skipped::Control)?;
        pages.push(said(control));
    }
    Ok((served, pages))
}

fn bytes(kept: &Kept, whole: bool) -> Body<'_> {
    match kept.parts() {
        Ok([]) if whole => Body::Whole(Cow::Borrowed(&[])),
        Ok([one]) if whole => Body::Whole(Cow::Borrowed(one)),
        Ok(parts) if whole => Body::Whole(Cow::Owned(parts.concat())),
        _ => Body::Unknown,
    }
}
