//! The scope of a cookie that an answer sets: everything a browser keeps beside the value.

/// Name and scope of the cookie in a `Set-Cookie` line: its attributes without the value, in one order and spelling.
/// A point in time differs from answer to answer, so of `Expires` only the presence counts.
pub(super) fn scope(line: &[u8]) -> Option<(String, String)> {
    let line = String::from_utf8_lossy(line);
    let mut parts = line.split(';');
    let (name, _) = parts.next()?.split_once('=')?;
    let mut attributes: Vec<String> = parts
        .map(|part| match part.split_once('=') {
            Some((key, _)) if key.trim().eq_ignore_ascii_case("expires") => "expires".into(),
            Some((key, value)) if key.trim().eq_ignore_ascii_case("path") => {
                format!("path={}", value.trim())
            }
            Some((key, value)) => format!("{}={}", key.trim(), value.trim()).to_ascii_lowercase(),
            None => part.trim().to_ascii_lowercase(),
        })
        .filter(|attribute| !attribute.is_empty())
        .collect();
    attributes.sort();
    Some((name.trim().to_owned(), attributes.join("; ")))
}
