//! TLS toward the targets: who is believed, under which name.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{File, Kanaria, Stub, get, sized};

/// A self-signed certificate for `target.test`, and its key.
const PEM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/router/pool/health/tests/target.pem"
);

/// A connection to the target.
type Peer = StreamOwned<ServerConnection, TcpStream>;

/// A target that speaks TLS and answers 204 to every connection's first request.
fn target() -> SocketAddr {
    serve(|peer| peer.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
}

/// A target that speaks TLS and does `act` once the first request of a connection is there.
fn serve(act: fn(&mut Peer) -> io::Result<()>) -> SocketAddr {
    let certificate = CertificateDer::from_pem_file(PEM).unwrap();
    let key = PrivateKeyDer::from_pem_file(PEM).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
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
            let mut peer = StreamOwned::new(connection, stream);
            // A client that does not believe us hangs up.
            if peer.read(&mut [0; 4096]).is_ok() {
                let _ = act(&mut peer);
                peer.conn.send_close_notify();
                let _ = peer.flush();
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

/// #946 again, through a handshake that reads before there is a request.
#[test]
fn fast_upgrades_survive_behind_tls() {
    let address = serve(|peer| {
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
        peer.write_all(switch.as_bytes())?;
        let mut piece = [0; 3];
        peer.read_exact(&mut piece)?;
        peer.write_all(&piece)
    });
    let file = File::single(&Stub::start("ec2"))
        .pool("ec2", &[address])
        .pool_keys("ec2", "tls = { sni = \"target.test\", verify = false }");
    let kanaria = Kanaria::start(&file);
    for n in 0..sized(100, 1000) {
        let mut client = kanaria.client();
        let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        assert_eq!(client.call(get("/", fields)).status, 101, "{n}");
        assert_eq!(client.wire.exactly(5).unwrap(), b"hello", "{n}");
        client.wire.send("bye").unwrap();
        assert_eq!(client.wire.exactly(3).unwrap(), b"bye", "{n}");
    }
}
