//! What is written down of one finished request: plain values, filled by the adapter, read by log and metrics.

mod desync;
mod recorder;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use config::decision::Decision;
use config::ids::{ListenerId, PoolId};
use config::rewrite::Rewritten;

pub use desync::{Class, Desync, Ruling, Traits};
pub use recorder::Recorder;

/// One finished request, from its first byte to its last.
#[derive(Debug)]
pub struct Record {
    /// When its first byte was read (UTC).
    pub started: SystemTime,
    /// From then to the last byte of the answer, or to the end without one.
    pub duration: Duration,
    /// Where the connection was accepted.
    pub listener: ListenerId,
    /// Our end of the connection.
    pub local: SocketAddr,
    /// The client: the peer, or what trusted proxies say of it.
    pub client_ip: IpAddr,
    /// The peer's port; `None` when the address is not the peer's own.
    pub client_port: Option<u16>,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`; `None` when the request could not be read.
    pub protocol: Option<&'static str>,
    /// Whether it is a call of gRPC.
    pub grpc: bool,
    /// The connection's TLS; `None` in clear text.
    pub tls: Option<Tls>,
    /// Whether the client's side is https: by our TLS, or by what a trusted proxy says.
    pub secure: bool,
    /// What the head said.
    pub head: Head,
    /// The status sent to the client, or a code for the log alone (460); 0 when nothing was sent.
    pub status: u16,
    /// What went wrong, if anything did.
    pub error: Option<Cause>,
    /// What was odd about its head.
    pub traits: Traits,
    /// Bytes read from the client: head and body.
    pub bytes_in: u64,
    /// Bytes sent to the client: head and body.
    pub bytes_out: u64,
    /// From its first byte to its head being sent to the last target that got it.
    pub dispatched: Option<Duration>,
    /// The address for the target, when the route makes another one.
    pub rewritten: Option<Rewritten>,
    /// The last target tried.
    pub upstream: Option<Upstream>,
    /// Connections tried.
    pub attempts: u8,
    /// Where it went and why; `None` when it ended before that was asked.
    pub decision: Option<Decision>,
    /// The pool first chosen, when another one served in its place.
    pub switched_from: Option<PoolId>,
    /// Further tries, made or denied, in the pools that had failed it.
    pub retries: Vec<Retry>,
    /// Whether it went to a target in spite of its health, because its pool had no healthy one.
    pub fail_open: bool,
    /// Whether it was copied for the shadow pool of its route; `None` without one.
    pub shadow: Option<bool>,
    /// A cookie that its client sends more than once, in a route with two pools or more.
    pub cookie_dup: Option<Box<str>>,
}

/// The TLS of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, as OpenSSL names it.
    pub cipher: &'static str,
}

/// A further try of a request, in the pool that had failed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The pool.
    pub pool: PoolId,
    /// How the try before it went wrong.
    pub cause: Cause,
    /// What became of it.
    pub result: Retried,
}

/// What became of a further try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// The target answered.
    Answered,
    /// The pool's budget had none left.
    Denied,
    /// It went wrong, too.
    Failed,
}

impl Retried {
    /// Every result.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Denied, Self::Failed];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Denied => "denied",
            Self::Failed => "failed",
        }
    }
}

/// The target of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Upstream {
    /// Its address.
    pub address: SocketAddr,
    /// Time to a connection; `None` on a reused one, or when there was none.
    pub connect: Option<Duration>,
    /// From the head sent to the first byte of the answer.
    pub ttfb: Option<Duration>,
    /// Status of its answer.
    pub status: Option<u16>,
}

/// Texts of a request's head, copied once into one buffer.
#[derive(Debug, Default)]
pub struct Head {
    buffer: Vec<u8>,
    ends: [u32; Text::COUNT],
    present: u16,
}

/// The texts of a head that a record keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// `X-Request-Id`: the client's, or ours.
    RequestId,
    /// Root of `X-Amzn-Trace-Id`.
    TraceId,
    /// Method.
    Method,
    /// Host, as sent.
    Host,
    /// Path, without the query.
    Path,
    /// Query, without `?`.
    Query,
    /// `User-Agent`.
    UserAgent,
    /// `Referer`.
    Referer,
    /// The host that the client asked for in the handshake of TLS.
    ServerName,
}

impl Text {
    /// How many there are.
    pub const COUNT: usize = 9;
}

impl Head {
    /// Copies `texts`, which must come in the order of `Text`; what is left out is unknown.
    pub fn copy(texts: [Option<&[u8]>; Text::COUNT]) -> Self {
        let mut head = Self {
            buffer: Vec::with_capacity(texts.iter().flatten().map(|text| text.len()).sum()),
            ..Self::default()
        };
        for (position, text) in texts.into_iter().enumerate() {
            if let Some(text) = text {
                head.buffer.extend_from_slice(text);
                head.present |= 1 << position;
            }
            head.ends[position] = head.buffer.len() as u32;
        }
        head
    }

    /// The bytes of `text`, which may be any bytes a client sent.
    pub fn get(&self, text: Text) -> Option<&[u8]> {
        let position = text as usize;
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]) as usize;
        (self.present & (1 << position) != 0)
            .then(|| &self.buffer[start..self.ends[position] as usize])
    }
}

/// What went wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The request is not HTTP, or HTTP that two readers could read differently: 400.
    BadRequest,
    /// The body is longer than the limit: 413.
    BodyTooLarge,
    /// The client stopped sending its body: 408.
    BodyTimeout,
    /// The client went away before the answer was complete: 460.
    ClientClosed,
    /// The client expects what we do not know: 417.
    ExpectationFailed,
    /// The header is larger than the limit: 431.
    HeaderTooLarge,
    /// The header did not arrive in time: 408.
    HeaderTimeout,
    /// A version of HTTP we do not speak: 505.
    VersionNotSupported,
    /// A method we do not carry (CONNECT, TRACE): 405.
    MethodNotAllowed,
    /// A host whose certificate is another one than that of the connection: 421.
    Misdirected,
    /// A transfer coding we do not carry: 501.
    NotImplemented,
    /// The request line is longer than the limit: 414.
    UriTooLong,
    /// The client has more requests a second than it may: 429.
    TooManyRequests,
    /// The client has more streams at the same time than it was granted; it may try again.
    TooManyStreams,
    /// More than 30 addresses in `X-Forwarded-For`: 463.
    TooManyAddresses,
    /// A call of gRPC for a pool that is spoken to by HTTP/1.1, which has no trailers: 464.
    VersionMismatch,
    /// A defect of ours.
    Internal,
    /// Targets may read the path in several ways, which lead to different routes: 400.
    AmbiguousPath,
    /// No route matched: 404.
    NoRoute,
    /// A rewrite made an address that cannot be sent: 500.
    RewriteFailed,
    /// The address of a redirect is longer than 8 KiB: 507.
    RedirectTooLong,
    /// The pool has no healthy target: 503.
    NoTarget,
    /// The pool has as many requests as it may: 503.
    PoolFull,
    /// Its target left the pool, and the time to finish was over: 502, or the answer was cut.
    Deregistered,
    /// An upgraded connection of a pool that lost its weight.
    Evicted,
    /// Cut because the drain was over.
    Shutdown,
    /// An upgraded connection had been quiet for as long as it may.
    UpgradedIdle,
    /// No connection to the target: 502.
    ConnectFailed,
    /// No connection to the target in time: 504.
    ConnectTimeout,
    /// The target closed or reset before its answer was complete: 502, or the answer was cut.
    TargetClosed,
    /// The target's answer is not HTTP, or its header is larger than the limit: 502.
    BadResponse,
    /// The target did not answer in time: 504.
    ResponseTimeout,
    /// The time for the whole request was over: 504, or the answer was cut.
    RequestTimeout,
}

/// Whose fault a cause is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Blame {
    /// The client's.
    Client,
    /// Ours, or our configuration's.
    Router,
    /// The target's.
    Target,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 33] = [
        Self::BadRequest,
        Self::BodyTooLarge,
        Self::BodyTimeout,
        Self::ClientClosed,
        Self::ExpectationFailed,
        Self::HeaderTooLarge,
        Self::HeaderTimeout,
        Self::VersionNotSupported,
        Self::MethodNotAllowed,
        Self::Misdirected,
        Self::NotImplemented,
        Self::UriTooLong,
        Self::TooManyAddresses,
        Self::TooManyRequests,
        Self::TooManyStreams,
        Self::VersionMismatch,
        Self::Internal,
        Self::AmbiguousPath,
        Self::NoRoute,
        Self::RewriteFailed,
        Self::RedirectTooLong,
        Self::NoTarget,
        Self::PoolFull,
        Self::Deregistered,
        Self::Evicted,
        Self::Shutdown,
        Self::UpgradedIdle,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::TargetClosed,
        Self::BadResponse,
        Self::ResponseTimeout,
        Self::RequestTimeout,
    ];

    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::ClientClosed => "client_closed",
            Self::ExpectationFailed => "expectation_failed",
            Self::HeaderTooLarge => "header_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Misdirected => "misdirected",
            Self::NotImplemented => "not_implemented",
            Self::TooManyAddresses => "too_many_addresses",
            Self::TooManyRequests => "too_many_requests",
            Self::TooManyStreams => "too_many_streams",
            Self::UriTooLong => "uri_too_long",
            Self::VersionMismatch => "version_mismatch",
            Self::VersionNotSupported => "version_not_supported",
            Self::Internal => "internal",
            Self::AmbiguousPath => "ambiguous_path",
            Self::NoRoute => "no_route",
            Self::RewriteFailed => "rewrite_failed",
            Self::RedirectTooLong => "redirect_too_long",
            Self::NoTarget => "no_target",
            Self::PoolFull => "pool_full",
            Self::Deregistered => "deregistered",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
            Self::UpgradedIdle => "upgraded_idle",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::TargetClosed => "target_closed",
            Self::BadResponse => "bad_response",
            Self::ResponseTimeout => "response_timeout",
            Self::RequestTimeout => "request_timeout",
        }
    }

    /// Whose fault it is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::AmbiguousPath
            | Self::BadRequest
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::ClientClosed
            | Self::ExpectationFailed
            | Self::HeaderTooLarge
            | Self::HeaderTimeout
            | Self::MethodNotAllowed
            | Self::Misdirected
            | Self::NotImplemented
            | Self::TooManyAddresses
            | Self::TooManyRequests
            | Self::TooManyStreams
            | Self::UriTooLong
            | Self::VersionMismatch
            | Self::VersionNotSupported => Blame::Client,
            Self::Internal
            | Self::NoRoute
            | Self::RewriteFailed
            | Self::RedirectTooLong
            | Self::NoTarget
            | Self::PoolFull
            | Self::Deregistered
            | Self::Evicted
            | Self::Shutdown
            | Self::UpgradedIdle => Blame::Router,
            Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::TargetClosed
            | Self::BadResponse
            | Self::ResponseTimeout
            | Self::RequestTimeout => Blame::Target,
        }
    }

    /// The status the client gets, or the code of the log alone.
    pub const fn status(self) -> u16 {
        match self {
            Self::AmbiguousPath | Self::BadRequest => 400,
            Self::BodyTooLarge => 413,
            Self::BodyTimeout | Self::HeaderTimeout => 408,
            Self::ClientClosed => 460,
            Self::ExpectationFailed => 417,
            Self::HeaderTooLarge => 431,
            Self::MethodNotAllowed => 405,
            Self::Misdirected => 421,
            Self::NotImplemented => 501,
            Self::UriTooLong => 414,
            Self::TooManyAddresses => 463,
            Self::TooManyRequests => 429,
            Self::VersionMismatch => 464,
            Self::VersionNotSupported => 505,
            Self::Internal | Self::RewriteFailed => 500,
            Self::NoRoute => 404,
            Self::RedirectTooLong => 507,
            Self::NoTarget
            | Self::PoolFull
            | Self::Evicted
            | Self::Shutdown
            | Self::TooManyStreams => 503,
            Self::ConnectFailed | Self::TargetClosed | Self::BadResponse | Self::Deregistered => {
                502
            }
            Self::ConnectTimeout
            | Self::ResponseTimeout
            | Self::RequestTimeout
            | Self::UpgradedIdle => 504,
        }
    }
}
