//! What becomes of cookies in a browser, and where two pools get into each other's way.
//!
//! The storage model is that of RFC 6265bis (draft 20), which is what browsers do: a cookie is another one when its
//! name, its domain, its path, or whether it has a domain at all differ. Header bytes and moments in, answers out.
//! There is no list of public suffixes: a domain without a dot counts as one, and `co.uk` does not.
#![warn(missing_docs)]

mod crumb;
mod date;
mod finding;
mod pair;
mod read;
mod scope;
mod store;
mod words;

pub use crumb::{Act, Crumb, Flags, Place, Span, key};
pub use finding::{Finding, Seen, What, find};
pub use read::{Lifetime, SameSite, SetCookie};
pub use scope::{Ignored, Origin, default_path, domain_match, path_match, without_port};
pub use store::{Cookie, Jar};
