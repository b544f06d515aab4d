//! What an unknown key was probably meant to be: a slip of the fingers, or a key of another table.

use serde_json::Value as Json;

use crate::schema;

/// What to say about an unknown key.
pub(super) struct Guess {
    /// The known key of the same table that was probably meant.
    pub(super) nearest: Option<&'static str>,
    pub(super) message: String,
}

/// A guess about a key that the table does not know.
pub(super) fn guess(key: &str, table: &'static Json) -> Guess {
    let known = || schema::keys(table).map(|key| key.name);
    let near = known().map(|name| (distance(key, name), name)).min();
    if let Some((slips, nearest)) = near
        && slips <= tolerated(nearest)
    {
        return Guess {
            nearest: Some(nearest),
            message: format!("unknown key, did you mean `{nearest}`?"),
        };
    }
    let homes: Vec<_> = homes(key).collect();
    let message = match homes.as_slice() {
        [] | [_, _, _, ..] => {
            let known: Vec<_> = known().map(|name| format!("`{name}`")).collect();
            format!("unknown key; allowed here: {}", known.join(", "))
        }
        homes => format!("unknown key here; it belongs in {}", homes.join(" or ")),
    };
    Guess {
        nearest: None,
        message,
    }
}

/// Headers of the tables that know the key.
fn homes(key: &str) -> impl Iterator<Item = String> {
    let knows = move |section: &&schema::Section| section.keys.iter().any(|k| k.name == key);
    let homes = schema::sections().iter().filter(knows);
    homes.map(|section| match section.header.as_str() {
        "" => "the top of the file".to_owned(),
        header => format!("`{header}`"),
    })
}

/// A short word with two slips is another word.
fn tolerated(name: &str) -> usize {
    match name.len() {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    }
}

/// Characters to insert, remove, replace, or swap with their neighbor to make one word of the other, ignoring case;
/// `usize::MAX` when the lengths alone rule out a slip.
fn distance(given: &str, known: &str) -> usize {
    if given.len().abs_diff(known.len()) > 3 {
        return usize::MAX;
    }
    let given: Vec<_> = given.chars().map(|c| c.to_ascii_lowercase()).collect();
    let known: Vec<_> = known.chars().collect();
    let mut two_before = Vec::new();
    let mut before: Vec<usize> = (0..=known.len()).collect();
    for (i, a) in given.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in known.iter().enumerate() {
            let replaced = before[j] + usize::from(a != b);
            let mut least = replaced.min(before[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == known[j - 1] && given[i - 1] == *b {
                least = least.min(two_before.get(j - 1).map_or(usize::MAX, |n: &usize| n + 1));
            }
            row.push(least);
        }
        two_before = std::mem::replace(&mut before, row);
    }
    before[known.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_slips() {
        assert_eq!(distance("targets", "targets"), 0);
        assert_eq!(distance("Tagrets", "targets"), 1);
        assert_eq!(distance("target", "targets"), 1);
        assert_eq!(distance("tagets", "targets"), 1);
        assert_eq!(distance("", "path"), usize::MAX);
        assert_eq!(distance("", "key"), 3);
        assert_eq!(distance("state-dir", "state_dir"), 1);
    }
}
