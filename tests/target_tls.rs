//! TLS toward the targets: who is believed, under which name.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{File, Kanaria, Stub, get};

/// A self-signed certificate for `target.test`, and its key.
const PEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/router/pool/health/tests/target.pem"
);

/// A target that speaks TLS and answers 204 to every connection's first request.
fn target() -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(PEM).unwrap();
    let key = PrivateKeyDer::from_pem_file(PEM).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // A client that does not believe us hangs up.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    address
}

#[track_caller]
fn check(tls: &str, expect: u16) {
    let file = File::single(&Stub::start("ec2"))
        .pool("ec2", &[target()])
        .pool_keys("ec2", &format!("tls = {tls}"));
    let kanaria = Kanaria::start(&file);
    assert_eq!(kanaria.client().call(get("/", "")).status, expect, "{tls}");
}

#[test]
fn a_target_is_believed_by_the_file_of_its_authority_under_the_name_asked_for() {
    check(&format!("{{ ca = \"{PEM}\", sni = \"target.test\" }}"), 204);
    check(&format!("{{ ca = \"{PEM}\", sni = \"other.test\" }}"), 502);
}

#[test]
fn a_target_nobody_vouches_for_is_not_believed_unless_the_file_says_so() {
    check("{ sni = \"target.test\" }", 502);
    check("{ sni = \"target.test\", verify = false }", 204);
}
