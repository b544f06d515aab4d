//! The digest of what a file means, for comparing routers of a fleet with each other and with the file in review.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::Config;

/// First 12 hex digits of SHA-256 of the file's meaning.
///
/// Comments, formatting, order of tables, defaults written out and how the text is spread over files do not change it;
/// the order of routes and of weights does, because it means something. The secret has no part in it:
/// a digest is shown to everybody.
pub fn digest(config: &Config) -> String {
    let mut meaning = config.clone();
    meaning.include.clear();
    meaning.server.secret = None;
    meaning.pools.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    let meaning = serde_json::to_value(&meaning).unwrap_or(Value::Null);
    let hash = Sha256::digest(meaning.to_string());
    hash.iter().take(6).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
