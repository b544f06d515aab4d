//! A pingora proxy that forwards and does nothing else: the floor that kanaria is measured against.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use async_trait::async_trait;
use pingora_core::listeners::ListenerConfig;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::protocols::l4::stream::L4BufferSettings;
use pingora_core::server::Server;
use pingora_core::server::configuration::{Opt, ServerConf};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Bare {
    targets: Vec<SocketAddr>,
    next: AtomicUsize,
}

/// The role `bare LISTEN TARGET...`, and `bare-tls LISTEN CERT KEY TARGET...`.
pub(crate) fn run(listen: &str, tls: Option<[&str; 2]>, targets: &[&str]) -> Result<()> {
    let targets = targets
        .iter()
        .map(|target| target.parse())
        .collect::<Result<_, _>>()?;
    let conf = ServerConf {
        threads: 1,
        upstream_keepalive_pool_size: 512,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(Opt::default(), conf);
    server.bootstrap();
    let bare = Bare {
        targets,
        next: AtomicUsize::new(0),
    };
    let mut service = http_proxy_service(&server.configuration, bare);
    let buffers = L4BufferSettings::new(4096, 4096);
    let mut listener = ListenerConfig::tcp(listen).l4_buffer(buffers);
    if let Some([cert, key]) = tls {
        // pingora's own choice would be another library than kanaria's.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut settings = TlsSettings::intermediate(cert, key)?;
        settings.enable_h2();
        listener = listener.tls(settings);
    }
    service.add_listener(listener);
    server.add_service(service);
    server.run_forever()
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut (),
    ) -> pingora_error::Result<Box<HttpPeer>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.targets.len();
        Ok(Box::new(HttpPeer::new(
            self.targets[turn],
            false,
            String::new(),
        )))
    }
}
