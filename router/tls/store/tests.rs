//! Stores of certificates made on the spot.

use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256};
use rustls::SignatureAlgorithm;

use super::super::fixture::{certificate, now};
use super::*;

const EC: &rcgen::SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;

fn store(all: &[Arc<Certificate>], default: Option<&str>) -> Store {
    Store::new(all, default, now()).unwrap()
}

#[track_caller]
fn check(store: &Store, name: Option<&str>, expect: &str) {
    let picked = store.pick(name, |_| true).unwrap();
    assert_eq!(&*picked.name, expect, "{name:?}");
}

#[test]
fn an_exact_name_beats_a_wildcard_which_beats_the_default() {
    let all = [
        certificate("wide", &["*.example.com"], EC, 2100),
        certificate("a", &["a.example.com"], EC, 2100),
        certificate("other", &["other.test", "WWW.other.test"], EC, 2100),
    ];
    let store = store(&all, Some("other.test"));
    check(&store, Some("a.example.com"), "a");
    check(&store, Some("b.example.com"), "wide");
    check(&store, Some("www.other.test"), "other");
    for unknown in [None, Some("example.com"), Some("x.b.example.com"), Some("")] {
        check(&store, unknown, "other");
    }
}

#[test]
fn without_a_default_the_first_one_answers_what_nothing_is_for() {
    let all = [
        certificate("b", &["b.test"], EC, 2100),
        certificate("a", &["a.test"], EC, 2100),
    ];
    check(&store(&all, None), Some("unknown.test"), "b");
    check(&store(&all, Some("A.test")), None, "a");
    assert!(Store::new(&all, Some("c.test"), now()).is_none());
    assert!(Store::new(&[], None, now()).is_none());
}

#[test]
fn the_default_can_be_named_as_its_file() {
    let all = [
        certificate("first", &["a.test"], EC, 2100),
        certificate("fallback", &["b.test"], EC, 2100),
    ];
    check(&store(&all, Some("fallback")), None, "fallback");
}

#[test]
fn of_several_for_a_name_the_valid_quick_strong_and_lasting_one_is_best() {
    let names = &["a.test"];
    let all = [
        certificate("rsa", names, &PKCS_RSA_SHA256, 2100),
        certificate("old", names, &PKCS_ECDSA_P384_SHA384, 2020),
        certificate("soon", names, EC, 2027),
        certificate("late", names, EC, 2100),
        certificate("strong", names, &PKCS_ECDSA_P384_SHA384, 2027),
    ];
    let best = |all: &[Arc<Certificate>]| {
        let store = store(all, None);
        let picked = store.pick(Some("a.test"), |_| true).unwrap();
        picked.name.to_string()
    };
    assert_eq!(best(&all), "strong");
    assert_eq!(best(&all[..4]), "late");
    assert_eq!(best(&all[..3]), "soon");
    assert_eq!(best(&all[..2]), "rsa");
}

#[test]
fn a_client_that_cannot_use_the_best_one_gets_the_next_that_it_can_use() {
    let all = [
        certificate("rsa", &["a.test"], &PKCS_RSA_SHA256, 2100),
        certificate("ec", &["a.test"], EC, 2100),
        certificate("wide", &["*.test"], &PKCS_RSA_SHA256, 2100),
    ];
    let store = store(&all, None);
    let rsa = |it: &Certificate| it.key.key.algorithm() == SignatureAlgorithm::RSA;
    assert_eq!(&*store.pick(Some("a.test"), rsa).unwrap().name, "rsa");
    assert_eq!(&*store.pick(Some("b.test"), rsa).unwrap().name, "wide");
    // Nothing suits: what would be best is offered, and the handshake says what is wrong.
    assert_eq!(&*store.pick(Some("a.test"), |_| false).unwrap().name, "ec");
}

#[test]
fn a_host_with_a_certificate_of_its_own_is_misdirected_on_the_connection_of_another() {
    let all = [
        certificate("wide", &["*.example.com"], EC, 2100),
        certificate("b", &["b.example.com"], EC, 2100),
        certificate("other", &["other.test"], EC, 2100),
    ];
    let store = store(&all, None);
    assert!(store.misdirects("a.example.com", "other.test"));
    assert!(store.misdirects("other.test", "a.example.com"));
    assert!(store.misdirects("b.example.com", "a.example.com"));
    // The certificate that was shown is for it, too.
    assert!(!store.misdirects("a.example.com", "b.example.com"));
    assert!(!store.misdirects("a.example.com", "c.example.com"));
    // Nobody could do better.
    assert!(!store.misdirects("a.example.com", "unknown.test"));
    // Who came by a name that no certificate is for was shown the default.
    assert!(store.misdirects("10-0-0-1.internal", "other.test"));
}
