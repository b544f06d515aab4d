//! Files of keys in every form.

use std::fs;

use tempfile::TempDir;

use super::*;

#[track_caller]
fn check(text: &[u8], expect: Result<&[usize], &str>) {
    let ring = Ring::parse(text);
    let lengths = ring.map(|ring| ring.secrets().map(<[u8]>::len).collect::<Vec<_>>());
    match (lengths, expect) {
        (Ok(lengths), Ok(expect)) => assert_eq!(lengths, expect),
        (Err(wrong), Err(expect)) => assert!(wrong.starts_with(expect), "{wrong}"),
        (given, expect) => panic!("{given:?}, expected {expect:?}"),
    }
}

#[test]
fn keys_are_lines_of_base64_or_hexadecimal_digits_or_the_bytes_of_one() {
    let base64 = STANDARD.encode([7; 48]);
    let hex = "0a".repeat(32);
    check(base64.as_bytes(), Ok(&[48]));
    check(
        format!("# new\n{base64}\n\n  {hex}\r\n").as_bytes(),
        Ok(&[48, 32]),
    );
    check(&[0xc3; 48], Ok(&[48]));
    check(&[0x80; 80], Ok(&[80]));
    check(&[0x80; 16], Err("has a key of 16 bytes"));
    check(b"", Err("has no key in it"));
    check(b"# nothing\n", Err("has no key in it"));
    check(
        b"no key!\n",
        Err("has a line that is neither base64 nor hexadecimal"),
    );
    check(b"ZZZZ\n", Err("has a key of 3 bytes"));
    check(
        format!("{base64}\n").repeat(17).as_bytes(),
        Err("has 17 keys"),
    );
}

#[test]
fn what_sealed_opens_for_one_file_more() {
    let ring = |keys: &[&str]| {
        let lines: String = keys.iter().map(|key| key.repeat(64) + "\n").collect();
        Ring::parse(lines.as_bytes()).unwrap()
    };
    let n_secrets = |ring: &Ring| ring.secrets().count();
    let second = ring(&["a"]).followed_by(ring(&["b"]));
    assert_eq!(n_secrets(&second), 2);
    assert_eq!(n_secrets(&second.followed_by(ring(&["c"]))), 2);
    // In a list the ones before are named by the file.
    let listed = ring(&["b", "a"]).followed_by(ring(&["c", "b"]));
    assert_eq!(n_secrets(&listed), 2);
}

#[test]
fn a_file_that_is_not_there_is_made_once_for_its_owner_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state/tickets");
    let mut first = Ring::begin(&path).unwrap();
    let mut second = Ring::begin(&path).unwrap();
    assert!(!path.exists());
    first.settle(&path).unwrap();
    second.settle(&path).unwrap();
    assert!(first.is(&second));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(Ring::begin(&path).unwrap().is(&first));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Ring::begin(&path).unwrap_err().contains("chmod 600"));
}
