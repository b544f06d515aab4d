//! The id of a client as its cookie carries it: 128 random bits in 22 base64url characters, and nothing else.
//!
//! There is no signature: a forged id lands at an unpredictable place, exactly as a new client does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::cookie;
use crate::facts::Fields;

/// Length of an id in a cookie.
pub const LENGTH: usize = 22;

/// What a request says of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// No cookie of our name.
    Absent,
    /// A cookie of our name, and no id in it.
    Invalid,
    /// The id in the first cookie of our name that holds one.
    Valid([u8; 16]),
}

/// The characters of `id`.
pub fn encode(id: &[u8; 16]) -> [u8; LENGTH] {
    let mut text = [0; LENGTH];
    URL_SAFE_NO_PAD
        .encode_slice(id, &mut text)
        .expect("16 bytes take 22 characters without padding");
    text
}

/// The id that `text` spells. Only what `encode` could have made is one: no padding, no stray bits in the last character.
///
/// By hand: the library's decoder, which is made for long texts, was a sixth of a decision (`benches/decide`).
pub fn decode(text: &[u8]) -> Option<[u8; 16]> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let [start @ .., last] = text.map(|byte| SEXTETS[usize::from(byte)]);
    let all_spelled = start.iter().fold(last, |seen, sextet| seen | sextet) < 64;
    // 21 characters are 126 bits; of the last one only two belong to the id.
    let bits = start
        .iter()
        .fold(0, |bits: u128, sextet| bits << 6 | u128::from(*sextet));
    let id = bits << 2 | u128::from(last >> 4);
    (all_spelled && last & 0b1111 == 0).then(|| id.to_be_bytes())
}

/// The six bits that a character of base64url stands for; 255 for one that is none.
static SEXTETS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut sextets = [255; 256];
    let mut sextet = 0;
    while sextet < alphabet.len() {
        sextets[alphabet[sextet] as usize] = sextet as u8;
        sextet += 1;
    }
    sextets
};

/// Looks for the id in the cookies called `name`. Of several the first valid one wins: a browser that was given two
/// (by paths or by an older configuration) sends them in the same order every time, so the client stays in its place.
pub fn claim(fields: &dyn Fields, name: &str) -> Claim {
    let mut claim = Claim::Absent;
    cookie::any(fields, name, |value| {
        match decode(value) {
            Some(id) => claim = Claim::Valid(id),
            None => claim = Claim::Invalid,
        }
        matches!(claim, Claim::Valid(_))
    });
    claim
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "AAECAwQFBgcICQoLDA0ODw";

    fn bytes() -> [u8; 16] {
        std::array::from_fn(|n| n as u8)
    }

    #[track_caller]
    fn check(lines: &[&str], expect: Claim) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("cookie", line.parse().unwrap());
        }
        assert_eq!(claim(&headers, "kanaria"), expect, "{lines:?}");
    }

    #[test]
    fn only_what_we_could_have_made_is_an_id() {
        assert_eq!(&encode(&bytes()), ID.as_bytes());
        assert_eq!(decode(ID.as_bytes()), Some(bytes()));
        for bad in [
            "",
            "AAECAwQFBgcICQoLDA0OD",
            "AAECAwQFBgcICQoLDA0ODwA",
            "AAECAwQFBgcICQoLDA0ODw==",
            "AAECAwQFBgcICQoLDA0ODx",
            "AAECAwQFBgcICQoLDA0OD/",
            "AAECAwQFBgcICQoLDA0OD+",
            "AAECAwQFBgcICQoLDA0OD=",
            " AECAwQFBgcICQoLDA0ODw",
            "\"AECAwQFBgcICQoLDA0O\"w",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
        let last = (0..=255u8).filter(|c| {
            let mut text = *b"AAECAwQFBgcICQoLDA0OD_";
            text[21] = *c;
            decode(&text).is_some()
        });
        assert_eq!(last.collect::<Vec<_>>(), b"AQgw");
    }

    #[test]
    fn the_first_valid_cookie_of_our_name_wins() {
        let other = "_____________________w";
        check(&[], Claim::Absent);
        check(&["a=b; kanaria2=x; KANARIA=x; kanaria"], Claim::Absent);
        check(&["kanaria=x"], Claim::Invalid);
        check(&["kanaria="], Claim::Invalid);
        check(&[&format!("kanaria={ID}")], Claim::Valid(bytes()));
        check(&[&format!("a=b;kanaria = {ID} ;c")], Claim::Valid(bytes()));
        check(
            &["kanaria=x", &format!("a=b; kanaria={ID}; kanaria={other}")],
            Claim::Valid(bytes()),
        );
        check(
            &[&format!("kanaria={other}"), &format!("kanaria={ID}")],
            Claim::Valid([255; 16]),
        );
    }

    proptest! {
        #[test]
        fn every_id_comes_back(id in any::<[u8; 16]>()) {
            prop_assert_eq!(decode(&encode(&id)), Some(id));
        }

        #[test]
        fn what_decodes_is_what_was_encoded(text in "[A-Za-z0-9_-]{22}") {
            if let Some(id) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&id).to_vec(), text.into_bytes());
            }
        }
    }
}
