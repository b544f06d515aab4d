//! Certificates of clients.

use std::io;

use rustls::HandshakeKind;
use tempfile::TempDir;

use crate::support::http2::{Http2, ask};
use crate::support::tls::{Authority, Hello, Wanted, put};
use crate::support::{Client, File, Kanaria, Stub, get, until};

/// What an ALB tells of a client's certificate.
const HEADERS: [&str; 5] = [
    "x-amzn-mtls-clientcert-serial-number",
    "x-amzn-mtls-clientcert-issuer",
    "x-amzn-mtls-clientcert-subject",
    "x-amzn-mtls-clientcert-validity",
    "x-amzn-mtls-clientcert-leaf",
];

/// A router for `a.test` whose clients are vouched for by the second authority, as `auth` says.
#[track_caller]
fn start(auth: &str) -> (Authority, Authority, Stub, Kanaria) {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let ec2 = Stub::start("ec2");
    let folder = TempDir::new().unwrap();
    servers.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    put(&folder.path().join("clients.pem"), &clients.pem());
    let tls = format!(
        "certificates = [\"certs\"], client_ca = \"clients.pem\", client_auth = \"{auth}\""
    );
    let kanaria = Kanaria::start_in(folder, &File::single(&ec2).tls(&tls));
    (servers, clients, ec2, kanaria)
}

/// Hands are shaken before a server of TLS 1.3 has seen the client's certificate: only an answer tells.
fn ask_once(hello: &Hello, kanaria: &Kanaria) -> io::Result<u16> {
    let mut client = hello.try_connect(kanaria.public)?;
    let answer = client.try_call(get("/", "Host: a.test\r\n"))?;
    Ok(answer.status)
}

#[test]
fn a_client_is_told_to_the_target_as_an_alb_tells_it() {
    let (servers, clients, ec2, kanaria) = start("required");
    let shown = clients.make(Wanted::hosts(&["client-1"]));
    let hello = servers.hello_showing("a.test", &shown);
    let forged: String = HEADERS.map(|name| format!("{name}: forged\r\n")).concat();
    let fields = format!("Host: a.test\r\nx-amzn-mtls-clientcert: forged\r\n{forged}");
    let answer = hello.connect(kanaria.public).call(get("/", &fields));
    assert_eq!(answer.status, 200);
    let client = Http2::connect_over(kanaria.public, &hello);
    let request = ask("GET", "/")
        .uri("https://a.test/")
        .header(HEADERS[2], "forged");
    assert_eq!(client.call(request, b"").status, 200);
    for seen in ec2.seen() {
        let told = HEADERS.map(|name| {
            let values: Vec<_> = seen.head.all(name).collect();
            assert_eq!(values.len(), 1, "{name}: {values:?}");
            values[0].to_owned()
        });
        let [serial, issuer, subject, validity, leaf] = told;
        assert!(serial.len() % 2 == 0 && serial.len() <= 40, "{serial}");
        assert!(
            serial
                .bytes()
                .all(|it| it.is_ascii_digit() || it.is_ascii_uppercase()),
            "{serial}"
        );
        assert_eq!(issuer, "CN=clients");
        assert_eq!(subject, "O=kanaria\\, tests,CN=client-1");
        assert_eq!(
            validity,
            "NotBefore=2000-01-01T00:00:00Z;NotAfter=2100-01-01T00:00:00Z"
        );
        let pem = leaf.replace("%20", " ").replace("%0A", "\n");
        assert_eq!(pem, shown[0].replace("\r\n", "\n"));
        assert_eq!(seen.head.get("x-amzn-mtls-clientcert"), None);
    }
}

#[test]
fn without_a_certificate_that_is_vouched_for_nobody_gets_in_where_one_is_required() {
    let (servers, clients, ec2, kanaria) = start("required");
    assert!(ask_once(&servers.hello("a.test"), &kanaria).is_err());
    let strange = servers.make(Wanted::hosts(&["client-1"]));
    assert!(ask_once(&servers.hello_showing("a.test", &strange), &kanaria).is_err());
    let expired = Wanted {
        until: 2020,
        ..Wanted::hosts(&["client-1"])
    };
    let expired = clients.make(expired);
    assert!(ask_once(&servers.hello_showing("a.test", &expired), &kanaria).is_err());
    assert_eq!(ec2.count(), 0);
    until("three handshakes failed", || {
        let metrics = kanaria.admin.call("GET", "/metrics", "", "").text();
        let line = "kanaria_tls_handshakes_total{listener=\"public\",result=\"failed\"} 3";
        metrics.contains(line).then_some(())
    });
}

#[test]
fn where_it_is_optional_a_client_without_one_is_served_and_tells_nothing() {
    let (servers, clients, ec2, kanaria) = start("optional");
    let fields = format!("Host: a.test\r\n{}: forged\r\n", HEADERS[2]);
    let answer = servers
        .hello("a.test")
        .connect(kanaria.public)
        .call(get("/", &fields));
    assert_eq!(answer.status, 200);
    let seen = ec2.last();
    assert!(HEADERS.iter().all(|name| seen.head.get(name).is_none()));
    let shown = clients.make(Wanted::hosts(&["client-1"]));
    let status = ask_once(&servers.hello_showing("a.test", &shown), &kanaria).unwrap();
    assert_eq!(status, 200);
    assert!(ec2.last().head.get(HEADERS[2]).is_some());
    // A certificate that nobody vouches for is no better than none would be.
    let strange = servers.make(Wanted::hosts(&["client-1"]));
    assert!(ask_once(&servers.hello_showing("a.test", &strange), &kanaria).is_err());
}

#[test]
fn nobody_but_a_trusted_proxy_says_these_headers_itself() {
    let ec2 = Stub::start("ec2");
    let fields = format!(
        "{}: forged\r\nX-Amzn-Tls-Version: forged\r\nX_Amzn_Mtls_Clientcert_Subject: forged\r\n",
        HEADERS[2]
    );
    let kanaria = Kanaria::start(&File::single(&ec2));
    kanaria.client().call(get("/", &fields));
    let seen = ec2.last();
    let forged = seen
        .head
        .fields
        .iter()
        .filter(|(_, value)| value == "forged");
    assert_eq!(forged.count(), 0, "{seen:?}");
    let file = File::single(&ec2).server("trusted_proxies = [\"127.0.0.0/8\"]");
    let kanaria = Kanaria::start(&file);
    kanaria.client().call(get("/", &fields));
    let seen = ec2.last();
    assert_eq!(seen.head.get(HEADERS[2]), Some("forged"));
    assert_eq!(seen.head.get("x-amzn-tls-version"), Some("forged"));
}

#[test]
fn version_and_cipher_are_told_when_the_file_says_so() {
    let (servers, ec2) = (Authority::new("servers"), Stub::start("ec2"));
    let folder = TempDir::new().unwrap();
    servers.issue(
        &folder.path().join("certs"),
        "a.test",
        Wanted::hosts(&["a.test"]),
    );
    let file = File::single(&ec2).tls("certificates = [\"certs\"]");
    let kanaria = Kanaria::start_in(folder, &file.clone().server("forwarded.tls = true"));
    let hello = servers.hello("a.test");
    let mut client: Client = hello.connect(kanaria.public);
    client.call(get("/", "Host: a.test\r\nX-Amzn-Tls-Version: forged\r\n"));
    let seen = ec2.last();
    assert_eq!(seen.head.get("x-amzn-tls-version"), Some("TLSv1.3"));
    let cipher = seen.head.get("x-amzn-tls-cipher-suite").unwrap().to_owned();
    assert!(cipher.starts_with("TLS_AES_"), "{cipher}");
    kanaria.rewrite(&file.text());
    assert_eq!(kanaria.run(&["reload"]).code, Some(0));
    client.call(get("/", "Host: a.test\r\nX-Amzn-Tls-Version: forged\r\n"));
    assert_eq!(ec2.last().head.get("x-amzn-tls-version"), None);
}

#[test]
fn a_resumed_session_is_still_known_and_ends_with_its_authority() {
    let (servers, clients, ec2, kanaria) = start("required");
    let shown = clients.make(Wanted::hosts(&["client-1"]));
    let hello = servers.hello_showing("a.test", &shown);
    let kind = || {
        let mut client = hello.try_connect(kanaria.public)?;
        client.try_call(get("/", "Host: a.test\r\n"))?;
        io::Result::Ok(client.wire.session().handshake_kind())
    };
    assert_eq!(kind().unwrap(), Some(HandshakeKind::Full));
    assert_eq!(kind().unwrap(), Some(HandshakeKind::Resumed));
    assert_eq!(ec2.last().head.get(HEADERS[1]), Some("CN=clients"));
    // The authority is replaced: nobody comes in on what the old one has vouched for, not even by a ticket.
    let others = Authority::new("others");
    put(&kanaria.path("clients.pem"), &others.pem());
    until("the old authority is not believed", || kind().err());
    let shown = others.make(Wanted::hosts(&["client-2"]));
    assert_eq!(
        ask_once(&servers.hello_showing("a.test", &shown), &kanaria).unwrap(),
        200
    );
    // A broken file leaves it so.
    put(&kanaria.path("clients.pem"), "garbage");
    until("the log says what is wrong", || {
        let wrong = "`clients.pem` has no certificate in it";
        kanaria.stderr().contains(wrong).then_some(())
    });
    assert_eq!(
        ask_once(&servers.hello_showing("a.test", &shown), &kanaria).unwrap(),
        200
    );
    assert!(kind().is_err());
}
