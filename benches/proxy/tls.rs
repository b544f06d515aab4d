//! What TLS costs: full handshakes, and requests over kept connections by HTTP/1.1 and HTTP/2, beside bare pingora, nginx and HAProxy.
//!
//! All have the same certificate (ECDSA P-256) and one thread. Handshakes are of TLS 1.3 by X25519, which all
//! can do, and never resumed; a last row shows what the exchange that outlasts quantum computers costs beside it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::load::{answer, message};
use crate::peer::{Backends, Peer, Running};
use crate::process::{Core, Process, own};
use crate::{median, say};

/// The host of the certificate.
const HOST: &str = "bench.example";
/// Clients at the same time.
const CLIENTS: usize = 32;
/// Streams of one connection at the same time.
const STREAMS: usize = 16;

/// The files of a certificate, for whoever ends TLS.
pub(crate) struct Certificate {
    folder: TempDir,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Job {
    name: &'static str,
    role: &'static str,
    count: usize,
}

/// Measures every peer `rounds` times, with a `part` of the usual counts, and prints a table for each job.
pub(crate) fn run(rounds: usize, part: usize) -> Result<()> {
    let (backends, certificate) = (Backends::start()?, Certificate::make()?);
    let peers = Peer::here();
    for (name, role, count) in [
        ("full handshakes, TLS 1.3, X25519", "shake", 8_000),
        (
            "full handshakes, TLS 1.3, X25519MLKEM768 where it is offered",
            "shake-hybrid",
            8_000,
        ),
        ("requests, HTTP/1.1 over TLS", "tls-1", 60_000),
        ("requests, HTTP/2 over TLS", "tls-2", 60_000),
    ] {
        let count = count / part;
        let job = Job { name, role, count };
        let mut rates = vec![Vec::new(); peers.len()];
        for round in 0..rounds {
            for turn in 0..peers.len() {
                // Another order each round, so that no peer always runs after the same one.
                let number = (turn + round) % peers.len();
                rates[number].push(rate(peers[number], &backends, &certificate, job)?);
            }
        }
        table(job, &peers, &rates);
    }
    Ok(())
}

/// How many a second of CPU of the whole process.
fn rate(peer: Peer, backends: &Backends, certificate: &Certificate, job: Job) -> Result<f64> {
    let running = peer.start_over(backends, &[], Some(certificate))?;
    send(&running, job.role, job.count.div_ceil(10))?;
    let before = running.process.cpu()?;
    send(&running, job.role, job.count)?;
    let spent = running.process.cpu()? - before;
    Ok(job.count as f64 / spent.max(Duration::from_millis(10)).as_secs_f64())
}

/// Does the role `role` of this binary `count` times, and waits until all is done.
pub(crate) fn send(running: &Running, role: &str, count: usize) -> Result<()> {
    let role = own(&[role, &running.address.to_string(), &count.to_string()])?;
    Process::start(Core::Second, &role, true)?.done()
}

fn table(job: Job, peers: &[Peer], rates: &[Vec<f64>]) {
    say(format!(
        "| {} ({}) | per CPU second, median | kanaria to it | rounds |",
        job.name, job.count
    ));
    say("| --- | --: | --: | --- |");
    let kanaria = peers
        .iter()
        .position(|peer| *peer == Peer::Kanaria)
        .unwrap_or(0);
    for (peer, own) in peers.iter().zip(rates) {
        let ratios = rates[kanaria]
            .iter()
            .zip(own)
            .map(|(kanaria, own)| kanaria / own);
        let rounds: Vec<_> = own.iter().map(|rate| format!("{rate:.0}")).collect();
        say(format!(
            "| {} | {:.0} | {:.2} | {} |",
            peer.name(),
            median(own.clone()),
            median(ratios.collect()),
            rounds.join(" ")
        ));
    }
    say("");
}

impl Certificate {
    pub(crate) fn make() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = rcgen::KeyPair::generate()?;
        let cert = rcgen::CertificateParams::new([HOST.to_owned()])?.self_signed(&key)?;
        let certificate = Self { folder };
        fs::write(certificate.cert(), cert.pem())?;
        fs::write(certificate.key(), key.serialize_pem())?;
        fs::write(certificate.both(), cert.pem() + &key.serialize_pem())?;
        Ok(certificate)
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.path().join("bench.crt")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("bench.key")
    }

    /// One file of both, as HAProxy wants it.
    pub(crate) fn both(&self) -> PathBuf {
        self.folder.path().join("bench.both")
    }
}

/// The roles `shake ADDRESS COUNT`, `shake-hybrid`, `tls-1` and `tls-2`.
pub(crate) fn role(what: &str, address: &str, count: usize) -> Result<()> {
    let group = match what {
        "shake-hybrid" => vec![kx_group::X25519MLKEM768, kx_group::X25519],
        _ => vec![kx_group::X25519],
    };
    let provider = CryptoProvider {
        kx_groups: group,
        ..default_provider()
    };
    let protocol: &[u8] = if what == "tls-2" { b"h2" } else { b"http/1.1" };
    let connector = connector(provider, protocol)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut lanes = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            let part = count / CLIENTS + usize::from(number < count % CLIENTS);
            let (address, connector) = (address.to_owned(), connector.clone());
            match what {
                "tls-1" => lanes.spawn(http1(address, connector, part, number)),
                "tls-2" => lanes.spawn(http2(address, connector, part, number)),
                _ => lanes.spawn(shake(address, connector, part)),
            };
        }
        while let Some(lane) = lanes.join_next().await {
            lane??;
        }
        Ok(())
    })
}

fn connector(provider: CryptoProvider, protocol: &[u8]) -> Result<TlsConnector> {
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(address: &str, connector: &TlsConnector) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(HOST)?;
    Ok(connector.connect(name, stream).await?)
}

async fn shake(address: String, connector: TlsConnector, count: usize) -> Result<()> {
    for _ in 0..count {
        let mut stream = connect(&address, &connector).await?;
        stream.shutdown().await?;
    }
    Ok(())
}

async fn http1(
    address: String,
    connector: TlsConnector,
    count: usize,
    number: usize,
) -> Result<()> {
    let mut stream = connect(&address, &connector).await?;
    let message = message("known", number);
    let mut held = Vec::with_capacity(8192);
    for _ in 0..count {
        stream.write_all(&message).await?;
        held.clear();
        answer(&mut stream, &mut held).await?;
    }
    Ok(())
}

async fn http2(
    address: String,
    connector: TlsConnector,
    count: usize,
    number: usize,
) -> Result<()> {
    let stream = connect(&address, &connector).await?;
    let (requests, connection) = h2::client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..STREAMS {
        let part = count / STREAMS + usize::from(lane < count % STREAMS);
        let requests = requests.clone();
        lanes.spawn(async move {
            for _ in 0..part {
                ask(requests.clone(), number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    connection.abort();
    Ok(())
}

async fn ask(requests: h2::client::SendRequest<Bytes>, number: usize) -> Result<()> {
    let request = http::Request::builder()
        .uri(format!("https://{HOST}/1k"))
        .header("user-agent", "bench")
        .header("accept", "*/*")
        .header("cookie", format!("side=ec2; kanaria={number:A<22}"))
        .body(())?;
    let (answer, _) = requests.ready().await?.send_request(request, true)?;
    let (head, mut body) = answer.await?.into_parts();
    if head.status != http::StatusCode::OK {
        bail!("{}", head.status);
    }
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control()
            .release_capacity(length)
            .context("room for a body")?;
    }
    Ok(())
}

/// Any certificate will do: clients are not what is measured.
#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
