//! The proxies that are measured: how each is configured for the same job, and started.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tempfile::TempDir;

use crate::process::{Core, Process, free_port, installed, listening, own};
use crate::tls::Certificate;

/// A proxy that may be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Forwards and does nothing else.
    Bare,
    /// Decision, cookie and metrics; no access log.
    Kanaria,
    /// With a JSON access log.
    KanariaLogging,
    /// 90:10 by `split_clients`, sticky cookie by `map`.
    Nginx,
    /// 90:10 by `rand`, sticky cookie by `cookie insert`.
    Haproxy,
}

/// Two targets.
pub(crate) struct Backends {
    pub(crate) ec2: SocketAddr,
    pub(crate) ecs: SocketAddr,
    _processes: [Process; 2],
}

/// A started proxy.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: TempDir,
}

impl Peer {
    /// Everything that can be measured on this machine.
    pub(crate) fn here() -> Vec<Self> {
        let mut peers = vec![Self::Bare, Self::Kanaria, Self::KanariaLogging];
        if installed("nginx") {
            peers.push(Self::Nginx);
        }
        if installed("haproxy") {
            peers.push(Self::Haproxy);
        }
        peers
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare pingora",
            Self::Kanaria => "kanaria",
            Self::KanariaLogging => "kanaria, access log",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }

    /// Starts it; `wrapper` goes in front of its command, as a profiler does.
    pub(crate) fn start(self, backends: &Backends, wrapper: &[String]) -> Result<Running> {
        self.start_over(backends, wrapper, None)
    }

    /// As `start`, over TLS with this certificate.
    pub(crate) fn start_over(
        self,
        backends: &Backends,
        wrapper: &[String],
        tls: Option<&Certificate>,
    ) -> Result<Running> {
        let folder = tempfile::tempdir()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = wrapper.to_vec();
        command.extend(self.command(backends, &folder, [address, admin], tls)?);
        let log = folder.path().join("stderr.log");
        let process = Process::start_with_log(Core::First, &command, &log)?;
        listening(address)?;
        Ok(Running {
            process,
            address,
            admin,
            folder,
        })
    }

    fn command(
        self,
        backends: &Backends,
        folder: &TempDir,
        [address, admin]: [SocketAddr; 2],
        tls: Option<&Certificate>,
    ) -> Result<Vec<String>> {
        let write = |name: &str, text: String| -> Result<String> {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Ok(match self {
            Self::Bare => bare(backends, address, tls)?,
            Self::Kanaria | Self::KanariaLogging => {
                let log = self == Self::KanariaLogging;
                let file = kanaria(backends, address, admin, log, tls);
                let file = write("kanaria.toml", file)?;
                words(&[env!("CARGO_BIN_EXE_kanaria"), "run", "-c", &file])
            }
            Self::Nginx => {
                let root = folder.path().display().to_string();
                let file = write("nginx.conf", nginx(backends, address, &root, tls))?;
                words(&["nginx", "-p", &root, "-e", "stderr", "-c", &file])
            }
            Self::Haproxy => {
                let file = write("haproxy.cfg", haproxy(backends, address, tls))?;
                words(&["haproxy", "-db", "-f", &file])
            }
        })
    }
}

impl Backends {
    pub(crate) fn start() -> Result<Self> {
        let mut processes = [
            Process::start(Core::Second, &own(&["backend", "ec2"])?, false)?,
            Process::start(Core::Second, &own(&["backend", "ecs"])?, false)?,
        ];
        let ec2 = processes[0].first_line()?.parse()?;
        let ecs = processes[1].first_line()?.parse()?;
        Ok(Self {
            ec2,
            ecs,
            _processes: processes,
        })
    }
}

fn bare(
    backends: &Backends,
    address: SocketAddr,
    tls: Option<&Certificate>,
) -> Result<Vec<String>> {
    let address = address.to_string();
    let mut words = vec!["bare".to_owned(), address];
    if let Some(tls) = tls {
        words[0].push_str("-tls");
        words.extend([tls.cert(), tls.key()].map(|path| path.display().to_string()));
    }
    words.extend([backends.ec2, backends.ecs].map(|target| target.to_string()));
    own(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The head of every file of kanaria here.
pub(crate) fn kanaria_head(backends: &Backends, address: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "version = 1\n[server]\nthreads = 1\n[admin]\nbind = \"{admin}\"\n\
         [[listeners]]\nname = \"public\"\nbind = \"{address}\"\n\
         [pools.ec2]\ntargets = [\"{}\"]\n[pools.ecs]\ntargets = [\"{}\"]\n",
        backends.ec2, backends.ecs
    )
}

fn kanaria(
    backends: &Backends,
    address: SocketAddr,
    admin: SocketAddr,
    log: bool,
    tls: Option<&Certificate>,
) -> String {
    let tls = tls.map_or_else(String::new, |tls| {
        let (cert, key) = (tls.cert(), tls.key());
        let (cert, key) = (cert.display(), key.display());
        // A table of the listener, which is the last one of its kind.
        format!("[listeners.tls]\ncertificates = [{{ cert = \"{cert}\", key = \"{key}\" }}]\n")
    });
    let log = if log {
        "[[access_log]]\npath = \"access.json\"\n"
    } else {
        ""
    };
    format!(
        "{}{tls}[[routes]]\nname = \"web\"\nstable = \"ec2\"\nweights = {{ ec2 = 90, ecs = 10 }}\n{log}",
        kanaria_head(backends, address, admin)
    )
}

fn nginx(
    backends: &Backends,
    address: SocketAddr,
    root: &str,
    tls: Option<&Certificate>,
) -> String {
    let listen = tls.map_or_else(String::new, |_| " ssl http2".to_owned());
    let tls = tls.map_or_else(String::new, |tls| {
        format!(
            "ssl_certificate {};\n    ssl_certificate_key {};\n    ssl_protocols TLSv1.2 TLSv1.3;\n",
            tls.cert().display(),
            tls.key().display()
        )
    });
    let Backends { ec2, ecs, .. } = backends;
    format!(
        "worker_processes 1;\nmaster_process off;\ndaemon off;\npid {root}/nginx.pid;\n\
         events {{ worker_connections 16384; }}\nworker_rlimit_nofile 20000;\n\
         http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  keepalive_timeout 300s;\n\
         client_body_temp_path {root}/body;\n  proxy_temp_path {root}/proxy;\n  fastcgi_temp_path {root}/f;\n\
         uwsgi_temp_path {root}/u;\n  scgi_temp_path {root}/s;\n\
         upstream ec2 {{ server {ec2}; keepalive 512; keepalive_requests 1000000000; }}\n\
         upstream ecs {{ server {ecs}; keepalive 512; keepalive_requests 1000000000; }}\n\
         split_clients \"$msec$connection$connection_requests\" $pick {{ 10% ecs; * ec2; }}\n\
         map $cookie_side $side {{ default $pick; ec2 ec2; ecs ecs; }}\n\
         map $cookie_side $give {{ default \"side=$pick; Path=/\"; ec2 \"\"; ecs \"\"; }}\n\
         server {{\n    listen {address}{listen} backlog=4096;\n    {tls}\n    location / {{\n      proxy_pass http://$side;\n\
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_set_header Host $http_host;\n\
         add_header Set-Cookie $give;\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(backends: &Backends, address: SocketAddr, tls: Option<&Certificate>) -> String {
    let tls = tls.map_or_else(String::new, |tls| {
        format!(" ssl crt {} alpn h2,http/1.1", tls.both().display())
    });
    let Backends { ec2, ecs, .. } = backends;
    format!(
        "global\n  nbthread 1\n  maxconn 9000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 300s\n\
         timeout server 60s\n  timeout http-keep-alive 300s\n  http-reuse always\nfrontend public\n  bind {address}{tls} backlog 4096\n\
         use_backend ec2 if {{ req.cook(side) -m str ec2 }}\n  use_backend ecs if {{ req.cook(side) -m str ecs }}\n\
         use_backend ecs if {{ rand(100) lt 10 }}\n  default_backend ec2\n\
         backend ec2\n  cookie side insert indirect\n  server ec2 {ec2} cookie ec2 pool-max-conn 1024\n\
         backend ecs\n  cookie side insert indirect\n  server ecs {ecs} cookie ecs pool-max-conn 1024\n"
    )
}
