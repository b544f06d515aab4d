//! Golden vectors of places. The ones that matter most are repeated here, so that a clone without the shared folder pins the hash too.

use std::path::Path;

use serde_json::Value;

use super::*;

pub(crate) fn unhex(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Vectors of one kind; none, with a word on it, when the shared folder is not there.
#[expect(clippy::disallowed_methods, reason = "a test may read its vectors")]
pub(crate) fn vectors(kind: &str) -> Vec<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = here
        .ancestors()
        .map(|up| up.join("shared/vectors/bucketing"));
    let Some(entries) = folders.find_map(|folder| folder.read_dir().ok()) else {
        println!("skipped: no folder shared/vectors beside the repository");
        return Vec::new();
    };
    let texts = entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let vectors = texts.map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    vectors.filter(|vector| vector["kind"] == kind).collect()
}

pub(crate) fn key(vector: &Value) -> BucketKey {
    let master = unhex(&vector["master_key_hex"]).try_into().unwrap();
    let cohort = vector["partition"].as_str().unwrap();
    Master::new(master).key(cohort, vector["epoch"].as_u64().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn places_are_those_of_the_golden_vectors() {
    for vector in vectors("place") {
        let key = key(&vector);
        assert_eq!(hex(key.bytes()), vector["key_hex"], "{}", vector["name"]);
        for row in vector["rows"].as_array().unwrap() {
            let place = key.place(&unhex(&row["id_hex"]));
            assert_eq!(format!("{:016x}", place.hash()), row["hash"]);
            assert_eq!(place.bucket(), row["bucket"]);
            assert_eq!(place.unit(), row["unit"]);
            assert_eq!(place.group(), row["group"]);
            for (weight, on_canary) in row["canary_at"].as_object().unwrap() {
                let weight: u16 = weight.parse().unwrap();
                assert_eq!(place.bucket() < weight, *on_canary);
            }
        }
    }
}

#[test]
fn counts_are_those_of_the_golden_vectors() {
    for vector in vectors("count") {
        let key = key(&vector);
        let series = vector["series"].as_u64().unwrap();
        let buckets: Vec<u16> = (0..vector["n"].as_u64().unwrap())
            .map(|n| {
                let id = [series.to_le_bytes(), n.to_le_bytes()].concat();
                key.place(&id).bucket()
            })
            .collect();
        let checksum = buckets.iter().fold(0u64, |sum, bucket| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*bucket))
        });
        assert_eq!(format!("{checksum:016x}"), vector["checksum"]);
        for (weight, n) in vector["canary_count"].as_object().unwrap() {
            let weight: u16 = weight.parse().unwrap();
            assert_eq!(buckets.iter().filter(|b| **b < weight).count() as u64, *n);
        }
    }
}

#[test]
fn the_hash_and_the_keys_never_change() {
    let master = Master::new(std::array::from_fn(|n| n as u8));
    let key = master.key("default", 7);
    let place = key.place(b"kanaria");
    assert_eq!(
        (
            hex(key.bytes()),
            format!("{:016x}", place.hash()),
            place.bucket()
        ),
        (
            "5ea343bc27564de77894811d723d8eed".into(),
            "ba383188b61e3f8d".into(),
            7274
        )
    );
    assert_ne!(master.key("default", 8), key);
    assert_ne!(master.key("defaul", 7), key);
}

#[test]
fn the_master_comes_from_the_secret_and_shows_nothing_of_it() {
    let secret = Secret::new([7; 32]);
    assert_eq!(hex(&secret.master().0), "c63e1dbb715cfb139835e8c9872112a3");
    assert_ne!(secret.master().0, [7; 16]);
    assert_eq!(format!("{secret:?}"), "Secret(secret)");
}
