//! What is negotiated, and with whom.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rcgen::PKCS_RSA_SHA256;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion};
use tempfile::TempDir;

use super::{shown, start, start_as};
use crate::support::tls::{Authority, Wanted};
use crate::support::{File, Kanaria, Stub, command, get, until};

#[test]
fn each_name_is_shown_its_certificate_and_other_names_the_default() {
    let hosts = ["a.test", "b.test", "*.wide.test", "fallback.test"];
    let tls = "certificates = [\"certs\"], default = \"fallback.test\"";
    let (authority, _ec2, kanaria) = start_as(&hosts, tls, "");
    for name in ["a.test", "b.test", "x.wide.test", "B.test"] {
        let mut client = authority.hello(name).connect(kanaria.public);
        let host = format!("Host: {name}\r\n");
        assert_eq!(client.call(get("/", &host)).status, 200, "{name}");
    }
    let fallback = shown(&authority.hello("fallback.test"), kanaria.public);
    let unnamed = shown(&authority.hello("fallback.test").unnamed(), kanaria.public);
    assert_eq!(unnamed, fallback);
    // It is shown to a name that it is not for, too; that client may not believe it.
    for name in ["other.test", "wide.test", "y.x.wide.test"] {
        let error = authority.hello(name).try_connect(kanaria.public).err();
        let error = error
            .expect("a name that no certificate is for")
            .to_string();
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[test]
fn a_pair_of_files_is_taken_beside_folders() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    authority.issue(folder.path(), "fullchain", Wanted::hosts(&["a.test"]));
    authority.issue(
        &folder.path().join("certs"),
        "b",
        Wanted::hosts(&["b.test"]),
    );
    let tls = "certificates = [{ cert = \"fullchain.crt\", key = \"fullchain.key\" }, \"certs\"]";
    let kanaria = Kanaria::start_in(folder, &File::single(&ec2).tls(tls));
    for name in ["a.test", "b.test"] {
        authority.hello(name).connect(kanaria.public);
    }
}

#[test]
fn both_versions_are_spoken_unless_the_file_asks_for_more() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    for (version, expect) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = authority
            .hello_in("a.test", version)
            .connect(kanaria.public);
        assert_eq!(client.wire.session().protocol_version(), Some(expect));
    }
    let tls = "certificates = [\"certs\"], min_version = \"1.3\"";
    let (authority, _ec2, kanaria) = start_as(&["a.test"], tls, "");
    let old = authority
        .hello_in("a.test", &TLS12)
        .try_connect(kanaria.public);
    let error = old.err().expect("TLS 1.2 is not spoken").to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
    authority.hello_in("a.test", &TLS13).connect(kanaria.public);
}

#[test]
fn a_client_of_an_elliptic_curve_is_served_before_rsa_and_a_client_of_rsa_too() {
    let (authority, ec2) = (Authority::new("kanaria tests"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    let rsa = Wanted {
        kind: &PKCS_RSA_SHA256,
        ..Wanted::hosts(&["a.test"])
    };
    authority.issue(&certs, "a.test-rsa", rsa);
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    let file = File::single(&ec2).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file);
    let suite = |hello: &crate::support::tls::Hello| {
        let client = hello.connect(kanaria.public);
        let suite = client.wire.session().negotiated_cipher_suite();
        suite.expect("hands are shaken").suite()
    };
    let both = suite(&authority.hello_in("a.test", &TLS12));
    assert!(
        matches!(
            both,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        ),
        "{both:?}"
    );
    let only_rsa = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
        ..default_provider()
    };
    let rsa = suite(&authority.hello_as("a.test", only_rsa, &TLS12));
    assert_eq!(rsa, CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
}

#[test]
fn a_key_exchange_that_outlasts_quantum_computers_is_offered() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    for (groups, expect) in [
        (
            vec![kx_group::X25519MLKEM768, kx_group::X25519],
            NamedGroup::X25519MLKEM768,
        ),
        // Who cannot is served as before.
        (vec![kx_group::SECP256R1], NamedGroup::secp256r1),
    ] {
        let provider = CryptoProvider {
            kx_groups: groups,
            ..default_provider()
        };
        let client = authority
            .hello_as("a.test", provider, &TLS13)
            .connect(kanaria.public);
        let group = client.wire.session().negotiated_key_exchange_group();
        assert_eq!(group.unwrap().name(), expect);
    }
}

#[test]
fn a_session_is_resumed_and_counted() {
    let (authority, _ec2, kanaria) = start(&["a.test"]);
    for version in [&TLS12, &TLS13] {
        let hello = authority.hello_in("a.test", version);
        let kind = || {
            let mut client = hello.connect(kanaria.public);
            // Tickets of TLS 1.3 come behind the handshake.
            client.call(get("/", "Host: a.test\r\n"));
            client.wire.session().handshake_kind()
        };
        assert_eq!(kind(), Some(HandshakeKind::Full), "{version:?}");
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
    }
    let metrics = kanaria.admin.call("GET", "/metrics", "", "").text();
    for (result, count) in [("full", 2), ("resumed", 2), ("failed", 0), ("timed_out", 0)] {
        let line = format!(
            "kanaria_tls_handshakes_total{{listener=\"public\",result=\"{result}\"}} {count}"
        );
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
}

#[test]
fn a_handshake_that_does_not_end_is_ended_by_its_deadline() {
    let (authority, _ec2, kanaria) = start_as(
        &["a.test"],
        "certificates = [\"certs\"]",
        "timeouts.tls_handshake = \"300ms\"",
    );
    let begun = Instant::now();
    let mut silent = TcpStream::connect(kanaria.public).unwrap();
    let mut begins = TcpStream::connect(kanaria.public).unwrap();
    begins.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    for stream in [&mut silent, &mut begins] {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)));
    }
    let took = begun.elapsed();
    println!("ended after {took:?}; bound 300 ms to 5 s");
    assert!(took >= Duration::from_millis(290), "{took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // A client may see the end before it is counted.
    until("both are counted", || {
        let labels = ["listener=\"public\"", "result=\"timed_out\""];
        let counted = kanaria
            .admin
            .metric("kanaria_tls_handshakes_total", &labels);
        (counted == 2.0).then_some(())
    });
    authority.hello("a.test").connect(kanaria.public);
}

#[test]
fn clear_text_on_a_listener_with_tls_is_not_served() {
    let (_, ec2, kanaria) = start(&["a.test"]);
    let mut client = kanaria.client();
    client.wire.send(get("/", "")).unwrap();
    // An alert, if anything.
    let answer = client.wire.rest().unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    assert_eq!(ec2.seen().len(), 0);
    let failed = "kanaria_tls_handshakes_total{listener=\"public\",result=\"failed\"} 1";
    until("the handshake is counted", || {
        let metrics = kanaria.admin.call("GET", "/metrics", "", "").text();
        metrics.contains(failed).then_some(())
    });
}

#[test]
fn a_file_whose_certificates_cannot_be_used_is_refused_with_their_place() {
    let authority = Authority::new("kanaria tests");
    let folder = TempDir::new().unwrap();
    let certs = folder.path().join("certs");
    authority.issue(&certs, "a.test", Wanted::hosts(&["a.test"]));
    authority.issue(&certs, "b.test", Wanted::hosts(&["b.test"]));
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let ec2 = Stub::start("ec2");
    let check = |tls: &str, expect: &str| {
        let file = File::single(&ec2).tls(tls);
        std::fs::write(folder.path().join("kanaria.toml"), file.text()).unwrap();
        for verb in [
            &["check", "kanaria.toml"][..],
            &["run", "-c", "kanaria.toml"],
        ] {
            let outcome = command(folder.path(), verb);
            assert_eq!(outcome.code, Some(78), "{tls} {outcome:?}");
            assert!(outcome.stderr.contains(expect), "{tls} {}", outcome.stderr);
        }
    };
    check(
        "certificates = [\"certs\", { cert = \"certs/a.test.crt\", key = \"certs/b.test.key\" }]",
        "listeners[0].tls.certificates[1]: `certs/b.test.key` is the key of another certificate than `certs/a.test.crt`",
    );
    check(
        "certificates = [{ cert = \"no.crt\", key = \"no.key\" }]",
        "listeners[0].tls.certificates[0]: there is no `no.crt`",
    );
    check(
        "certificates = [\"nowhere\", \"certs\"]",
        "listeners[0].tls.certificates[0]: the folder `nowhere` cannot be read",
    );
    check(
        "certificates = [\"empty\"]",
        "listeners[0].tls.certificates: there is no certificate that can be used",
    );
    check(
        "certificates = [\"certs\"], default = \"c.test\"",
        "listeners[0].tls.default: no certificate is for \"c.test\"",
    );
}
