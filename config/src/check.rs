//! What the settings of a file mean together: addresses, names, tokens, bounds. Routing is not judged here.

mod log;
mod pool;
mod telemetry;
mod tls;
mod webhook;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use http::Uri;

use crate::discovery;
use crate::model::{Admin, Config, Limits, Listener, ProxyProtocol, Resolver, Server};
use crate::problem::{Fault, Path};
use crate::units::{Duration, Size};

/// Everything wrong with the settings of a file, in the order of the model.
pub fn settings(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    let top = Path::default();
    server(&config.server, &top.key("server"), &mut faults);
    admin(&config.admin, &top.key("admin"), &mut faults);
    listeners(config, &top.key("listeners"), &mut faults);
    resolver(&config.resolver, &top.key("resolver"), &mut faults);
    for (name, settings) in config.pools.iter() {
        pool::check(name, settings, &top.key("pools").key(name), &mut faults);
    }
    let path = top.key("access_log");
    log::check(&config.access_log, &config.partitions, &path, &mut faults);
    webhook::check(&config.webhooks, &top.key("webhooks"), &mut faults);
    if let Some(settings) = &config.telemetry {
        telemetry::check(settings, &top.key("telemetry"), &mut faults);
    }
    faults
}

/// Why a text is no name: names appear in URLs, labels and log lines as they are.
pub fn name(name: &str) -> Option<String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() {
        Some("a name must not be empty".into())
    } else if name.len() > 100 {
        Some("a name has at most 100 characters".into())
    } else if !name.chars().all(is_allowed) {
        Some(format!(
            "{name:?} is not a name; write letters, digits, `_`, `-` and `.`"
        ))
    } else {
        None
    }
}

fn server(server: &Server, path: &Path, faults: &mut Vec<Fault>) {
    for (key, given) in [
        ("state_dir", &server.state_dir),
        ("secret_file", &server.secret_file),
    ] {
        if given.as_os_str().is_empty() {
            faults.push(path.key(key).fault("a path must not be empty"));
        }
    }
    if server.secret.as_deref() == Some("") {
        let message = "the secret must not be empty; leave the key out to use `secret_file`";
        faults.push(path.key("secret").fault(message));
    }
    if let Some(message) = health_path(&server.health_path) {
        faults.push(path.key("health_path").fault(message));
    }
    limits(&server.limits, &path.key("limits"), faults);
    let timeouts = &server.timeouts;
    let timeouts = [
        ("header", timeouts.header),
        ("idle", timeouts.idle),
        ("body", timeouts.body),
        ("tls_handshake", timeouts.tls_handshake),
    ];
    not_zero(&path.key("timeouts"), &timeouts, faults);
}

/// Why a text is no path that requests can ask for; a query is not part of it.
fn health_path(path: &str) -> Option<String> {
    let is_visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
    let is_path = path.is_empty() || (path.starts_with('/') && path.bytes().all(is_visible));
    (!is_path).then(|| {
        format!("{path:?} is not a path; it starts with `/` and has visible ASCII only, without `?` and `#`")
    })
}

/// `http::Uri` counts in 16 bits: a target of 64 KiB has none.
const LONGEST_REQUEST_LINE: Size = Size::kib(63);
/// pingora reads heads below 1 MiB; this and a request line stay below it.
const LONGEST_HEADERS: Size = Size::kib(960);

fn limits(limits: &Limits, path: &Path, faults: &mut Vec<Fault>) {
    let sizes = [
        ("request_line", limits.request_line),
        ("header", limits.header),
        ("headers", limits.headers),
        ("response_headers", limits.response_headers),
    ];
    for (key, size) in sizes {
        if size == Size(0) {
            let message = "must be at least 1B: with 0 nothing could pass";
            faults.push(path.key(key).fault(message));
        }
    }
    for (key, size, most) in [
        ("request_line", limits.request_line, LONGEST_REQUEST_LINE),
        ("headers", limits.headers, LONGEST_HEADERS),
    ] {
        if size > most {
            let message = format!("must be at most {most}: the router cannot read more");
            faults.push(path.key(key).fault(message));
        }
    }
}

/// A wait that would be over before it began.
pub(crate) fn not_zero(path: &Path, durations: &[(&str, Duration)], faults: &mut Vec<Fault>) {
    for (key, duration) in durations {
        if duration.0.is_zero() {
            let message = "must be longer than 0: it would be over before it began";
            faults.push(path.key(key).fault(message));
        }
    }
}

/// Longest path of a unix socket that every Unix takes.
const SOCKET_PATH: usize = 103;

fn admin(admin: &Admin, path: &Path, faults: &mut Vec<Fault>) {
    let bind = path.key("bind");
    match (admin.bind.strip_prefix("unix:"), address(&admin.bind)) {
        (Some(""), _) => {
            faults.push(bind.fault("`unix:` needs a path, as unix:/run/kanaria/admin.sock"));
        }
        (Some(socket), _) if socket.len() > SOCKET_PATH => {
            let message = format!("the path of a unix socket has at most {SOCKET_PATH} bytes");
            faults.push(bind.fault(message));
        }
        (Some(_), _) => {}
        (None, Err(message)) => faults.push(bind.fault(message + ", nor unix:PATH")),
        (None, Ok(address)) => {
            if !address.ip().to_canonical().is_loopback() && admin.tokens.is_empty() {
                faults.push(bind.fault(format!(
                    "{address} can be reached from elsewhere, so `admin.tokens` is required; or bind to 127.0.0.1, [::1] or unix:PATH"
                )));
            }
        }
    }
    tokens(admin, &path.key("tokens"), faults);
    if let Some(settings) = &admin.tls {
        tls::admin(admin, settings, &path.key("tls"), faults);
    }
}

fn tokens(admin: &Admin, path: &Path, faults: &mut Vec<Fault>) {
    let mut names = Names::default();
    let mut digests = HashMap::new();
    for (position, token) in admin.tokens.iter().enumerate() {
        let path = path.index(position);
        names.take(&token.name, &path.key("name"), faults);
        let is_hex = token.sha256.chars().all(|c| c.is_ascii_hexdigit());
        if token.sha256.len() != 64 || !is_hex {
            let message = "this is not a SHA-256; write 64 hex digits, as `printf %s TOKEN | sha256sum` prints them";
            faults.push(path.key("sha256").fault(message));
        } else if let Some(first) = digests.insert(token.sha256.to_ascii_lowercase(), &token.name) {
            let message =
                format!("the same token as {first:?}; the journal could not tell them apart");
            faults.push(path.key("sha256").fault(message));
        }
    }
}

fn listeners(config: &Config, path: &Path, faults: &mut Vec<Fault>) {
    if config.listeners.is_empty() {
        let message = "there must be at least one, as `[[listeners]]` with `name` and `bind`";
        faults.push(path.fault(message));
    }
    let mut names = Names::default();
    let mut taken = HashMap::new();
    if let Ok(admin) = address(&config.admin.bind) {
        taken.insert(admin, "admin.bind".to_owned());
    }
    for (position, listener) in config.listeners.iter().enumerate() {
        let path = path.index(position);
        proxy_protocol(listener, &config.server, &path, faults);
        names.take(&listener.name, &path.key("name"), faults);
        let bind = path.key("bind");
        match address(&listener.bind) {
            Err(message) => faults.push(bind.fault(message)),
            // Port 0 asks the system for a free one, so any number of them is fine.
            Ok(address) if address.port() == 0 => {}
            Ok(address) => {
                if let Some(first) = taken.insert(address, bind.to_string()) {
                    faults.push(bind.fault(format!("{address} is taken by `{first}`")));
                }
            }
        }
        if let Some(settings) = &listener.tls {
            tls::check(listener, settings, &path, faults);
        }
    }
}

fn proxy_protocol(listener: &Listener, server: &Server, path: &Path, faults: &mut Vec<Fault>) {
    if listener.proxy_protocol == ProxyProtocol::Required && server.trusted_proxies.is_empty() {
        let message = "only `server.trusted_proxies` may send a PROXY header, and there are none: every connection would be closed";
        faults.push(path.key("proxy_protocol").fault(message));
    }
}

fn resolver(resolver: &Resolver, path: &Path, faults: &mut Vec<Fault>) {
    let path = path.key("nameservers");
    let mut known = HashSet::new();
    for (position, text) in resolver.nameservers.iter().enumerate() {
        let path = path.index(position);
        match discovery::nameserver(text) {
            Err(message) => faults.push(path.fault(message)),
            Ok(address) if !known.insert(address) => {
                faults.push(path.fault(format!("{address} is given twice")));
            }
            Ok(_) => {}
        }
    }
}

/// An address to bind or connect to; a host name is not one.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an IP address and port, as 127.0.0.1:8080 or [::1]:8080")
    })
}

/// Why a text is no address to send to, as `example` is one; `instead` says what to do without a password in it.
fn destination(url: &str, example: &str, instead: &str) -> Option<String> {
    let parsed: Option<Uri> = url.parse().ok();
    let authority = parsed.as_ref().and_then(|url| {
        let scheme = url
            .scheme_str()
            .is_some_and(|it| matches!(it, "http" | "https"));
        url.authority().filter(|_| scheme)
    });
    match authority {
        None => Some(format!("{url:?} is not an address as {example}")),
        Some(authority) if authority.as_str().contains('@') => Some(format!(
            "an address with a user or a password would be in logs; {instead}"
        )),
        Some(_) => None,
    }
}

/// Names given so far, each of which must be one and the only one.
#[derive(Default)]
struct Names<'a>(HashSet<&'a str>);

impl<'a> Names<'a> {
    fn take(&mut self, given: &'a str, path: &Path, faults: &mut Vec<Fault>) {
        if let Some(message) = name(given) {
            faults.push(path.fault(message));
        } else if !self.0.insert(given) {
            faults.push(path.fault(format!("{given:?} is the name of another one too")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(text: &str) {
        let text =
            format!("version = 1\n{text}[[listeners]]\nname = 'public'\nbind = '127.0.0.1:0'\n");
        let config: Config = toml::from_str(&text).unwrap();
        assert_eq!(settings(&config), []);
    }

    #[test]
    fn only_addresses_of_this_machine_need_no_token() {
        for bind in [
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
            "unix:a.sock",
        ] {
            accepts(&format!("admin.bind = '{bind}'\n"));
        }
        let sha256 = "0123456789abcdefABCDEF".repeat(3);
        let token = format!(
            "{{ name = 'ci', role = 'viewer', sha256 = '{}' }}",
            &sha256[..64]
        );
        accepts(&format!(
            "admin = {{ bind = '0.0.0.0:9900', tokens = [{token}] }}\n"
        ));
    }

    #[test]
    fn zero_is_accepted_where_it_means_something() {
        accepts(
            "[server]\npre_drain = '0'\ndrain_timeout = '0s'\nthreads = 0\nlimits.request_body = '0'\n",
        );
        accepts("[[listeners]]\nname = 'a'\nbind = '127.0.0.1:0'\n");
        accepts(
            "[pools.ec2]\ntargets = ['127.0.0.1:1']\nretries = 0\nmax_requests = 0\nslow_start = '0'\nejection = { consecutive_failures = 0, base_time = '0' }\n",
        );
    }

    #[test]
    fn the_same_port_on_two_addresses_is_accepted() {
        accepts(
            "[[listeners]]\nname = 'a'\nbind = '127.0.0.1:80'\n[[listeners]]\nname = 'b'\nbind = '127.0.0.2:80'\n",
        );
    }
}
