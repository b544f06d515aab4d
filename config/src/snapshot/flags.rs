//! Flags in a snapshot: from the file, the values that are signed for them, and their pictures.

use std::collections::BTreeMap;
use std::path::Path;

use super::names::Faults;
use super::{Snapshot, Structure, routes};
use crate::action::Action;
use crate::digest;
use crate::flag::{Favicon, Flag, Wanted};
use crate::model;
use crate::problem::Trail;
use crate::sign::Signer;

impl Snapshot {
    /// A value of `flag` that counts until `expiry`, in seconds since 1970; `None` when it takes no signed ones.
    pub fn flag_value(&self, flag: &Flag, expiry: u64) -> Option<String> {
        flag.value(expiry, &self.secrets.flags)
    }

    pub(crate) const fn flag_signer(&self) -> &Signer {
        &self.secrets.flags
    }
}

impl Structure {
    /// Puts the content of each `favicon` into its flag, by the positions of route and flag. It is a part of what the
    /// file means, and so of its digest.
    pub fn set_favicons(&mut self, favicons: BTreeMap<(usize, usize), Vec<u8>>) {
        for ((route, flag), bytes) in favicons {
            let Some(route) = self.routes.get_mut(route) else {
                continue;
            };
            let written = route.settings.flags.get(flag);
            let file = written.and_then(|flag| flag.favicon.as_deref());
            let content_type = file.and_then(content_type);
            let Action::Forward(forward) = &mut route.action else {
                continue;
            };
            if let (Some(flag), Some(content_type)) = (forward.flags.get_mut(flag), content_type) {
                self.digest = digest::with(&self.digest, &bytes).into();
                let bytes = bytes.into();
                flag.favicon = Some(Favicon {
                    content_type,
                    bytes,
                });
            }
        }
    }
}

/// Which values of `written` count, and whether its other keys can be carried out.
pub(super) fn wanted(
    route: &str,
    written: &model::Flag,
    path: &Trail<'_>,
    faults: &mut Faults,
) -> Option<Wanted> {
    let file = written.favicon.as_deref();
    if file.is_some_and(|file| content_type(file).is_none()) {
        faults.add(
            &path.key("favicon"),
            "a favicon is a file whose name ends in .ico, .png, .svg or .gif",
        );
    }
    match (&written.value, written.signed) {
        (Some(_), true) => {
            faults.add(path, "a flag has a `value` or is `signed`, not both");
            None
        }
        (None, false) => {
            faults.add(
                path,
                "a flag needs a `value`, or `signed = true` for values of `kanaria flag mint`",
            );
            None
        }
        (None, true) => Some(Wanted::Signed {
            route: route.into(),
        }),
        (Some(value), false) => {
            let checked = routes::check_value(written, value);
            faults.check(&path.key("value"), checked)?;
            Some(Wanted::Exact(value.as_bytes().into()))
        }
    }
}

fn content_type(file: &Path) -> Option<&'static str> {
    match file.extension()?.to_str()? {
        "ico" => Some("image/x-icon"),
        "png" => Some("image/png"),
        "svg" => Some("image/svg+xml"),
        "gif" => Some("image/gif"),
        _ => None,
    }
}
