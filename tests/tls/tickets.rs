//! Sessions that are gone on with: at the same router, at another one, and after keys were turned.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::support::tls::{Authority, Hello, Wanted, put};
use crate::support::{File, Kanaria, Stub, command, get, until};

const TLS: &str = "certificates = [\"certs\"], ticket_keys = \"tickets\"";

/// A router for `a.test` whose keys of tickets are these.
#[track_caller]
fn start(authority: &Authority, ec2: &Stub, keys: Option<&str>) -> Kanaria {
    let folder = TempDir::new().unwrap();
    authority.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    if let Some(keys) = keys {
        turn(folder.path(), keys);
    }
    Kanaria::start_in(folder, &File::single(ec2).tls(TLS))
}

/// Puts a file of keys in place.
fn turn(folder: &std::path::Path, keys: &str) {
    let path = folder.join("next");
    fs::write(&path, keys).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(path, folder.join("tickets")).unwrap();
}

/// How hands were shaken.
#[track_caller]
fn kind(hello: &Hello, kanaria: &Kanaria) -> HandshakeKind {
    let mut client = hello.connect(kanaria.public);
    assert_eq!(client.call(get("/", "Host: a.test\r\n")).status, 200);
    client.wire.session().handshake_kind().unwrap()
}

/// A key of 48 bytes, as a line.
fn key(digit: char) -> String {
    format!("{}\n", String::from(digit).repeat(96))
}

#[test]
fn a_session_of_one_router_is_resumed_by_another_one_with_the_same_keys() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let one = start(&authority, &ec2, None);
    let path = one.path("tickets");
    // There was no file, so it was made, for its owner alone.
    let made = fs::read_to_string(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let other = start(&authority, &ec2, Some(&made));
    let stranger = start(&authority, &ec2, None);
    for version in [&TLS12, &TLS13] {
        let hello = authority.hello_in("a.test", version);
        assert_eq!(kind(&hello, &one), HandshakeKind::Full, "{version:?}");
        assert_eq!(kind(&hello, &other), HandshakeKind::Resumed, "{version:?}");
        assert_eq!(kind(&hello, &one), HandshakeKind::Resumed, "{version:?}");
        assert_eq!(kind(&hello, &stranger), HandshakeKind::Full, "{version:?}");
    }
}

#[test]
fn a_session_survives_a_restart() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let kanaria = start(&authority, &ec2, None);
    let hello = authority.hello("a.test");
    assert_eq!(kind(&hello, &kanaria), HandshakeKind::Full);
    let kanaria = Kanaria::start_in(kanaria.kill(), &File::single(&ec2).tls(TLS));
    assert_eq!(kind(&hello, &kanaria), HandshakeKind::Resumed);
}

/// HATENA-8, together with the one above.
#[test]
fn the_key_before_is_accepted_and_the_one_before_that_is_not() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let kanaria = start(&authority, &ec2, Some(&key('1')));
    let folder = kanaria.path("");
    let turned = |keys: &str, n_told: usize| {
        turn(&folder, keys);
        until("the keys are turned", || {
            let told = kanaria.stderr().matches("keys of tickets in use").count();
            (told >= n_told).then_some(())
        });
    };
    // One key in the file at a time: the one before stays for one turn.
    let [first, kept] = [authority.hello("a.test"), authority.hello("a.test")];
    assert_eq!(kind(&first, &kanaria), HandshakeKind::Full);
    assert_eq!(kind(&kept, &kanaria), HandshakeKind::Full);
    turned(&key('2'), 1);
    assert_eq!(kind(&first, &kanaria), HandshakeKind::Resumed);
    turned(&key('3'), 2);
    assert_eq!(kind(&kept, &kanaria), HandshakeKind::Full);
    // What was resumed got a new ticket meanwhile.
    assert_eq!(kind(&first, &kanaria), HandshakeKind::Resumed);
    // A list: the first one seals, all open.
    let listed = authority.hello("a.test");
    assert_eq!(kind(&listed, &kanaria), HandshakeKind::Full);
    turned(&[key('4'), key('3')].concat(), 3);
    turned(&[key('5'), key('4'), key('3')].concat(), 4);
    assert_eq!(kind(&listed, &kanaria), HandshakeKind::Resumed);
}

#[test]
fn a_broken_file_of_keys_is_refused_at_the_start_and_left_alone_later() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let kanaria = start(&authority, &ec2, Some(&key('1')));
    let hello = authority.hello("a.test");
    assert_eq!(kind(&hello, &kanaria), HandshakeKind::Full);
    for (text, mode, expect) in [
        (
            "no key\n",
            0o600,
            "`tickets` has a line that is neither base64 nor hexadecimal",
        ),
        ("ZZZZ\n", 0o600, "`tickets` has a key of 3 bytes"),
        ("\n", 0o600, "`tickets` has no key in it"),
        (
            &*key('1'),
            0o644,
            "`tickets` has mode 644; only its owner may read it: chmod 600",
        ),
    ] {
        put(&kanaria.path("tickets"), text);
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(kanaria.path("tickets"), permissions).unwrap();
        until("the log says what is wrong", || {
            kanaria.stderr().contains(expect).then_some(())
        });
        assert_eq!(kind(&hello, &kanaria), HandshakeKind::Resumed);
        let outcome = command(&kanaria.path(""), &["check", "kanaria.toml"]);
        assert_eq!(outcome.code, Some(78));
        let place = format!("listeners[0].tls.ticket_keys: {expect}");
        assert!(outcome.stderr.contains(&place), "{}", outcome.stderr);
    }
    fs::remove_file(kanaria.path("tickets")).unwrap();
    assert_eq!(kind(&hello, &kanaria), HandshakeKind::Resumed);
}

#[test]
fn checking_a_file_makes_no_keys() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    authority.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    fs::write(
        folder.path().join("kanaria.toml"),
        File::single(&ec2).tls(TLS).text(),
    )
    .unwrap();
    let outcome = command(folder.path(), &["check", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!folder.path().join("tickets").exists());
}
