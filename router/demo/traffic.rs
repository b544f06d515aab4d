//! Some users with cookie jars, who ask one after the other, and what they got.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Side;
use super::environment::ENVIRONMENT;

/// A user waits no longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The users, and a count of what they saw.
pub(super) struct Traffic {
    port: u16,
    seen: Mutex<Seen>,
}

/// What the users saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    users: Vec<User>,
    next: usize,
    /// Answers by environment, `Side` as position, since `take`.
    pub(super) answers: [u32; 2],
    /// Failures since `take`: no answer, or 500 and above.
    pub(super) failed: u32,
}

#[derive(Clone, Debug, Default)]
struct User {
    cookie: Option<HeaderValue>,
    last: Option<Side>,
}

/// One answer, as far as a user cares.
struct Answer {
    side: Option<Side>,
    cookie: Option<HeaderValue>,
    failed: bool,
}

impl Traffic {
    pub(super) fn new(port: u16, n_users: usize) -> Arc<Self> {
        let users = vec![User::default(); n_users];
        let seen = Seen {
            users,
            ..Seen::default()
        };
        Arc::new(Self {
            port,
            seen: Mutex::new(seen),
        })
    }

    /// Lets the users ask `rps` times a second in all.
    pub(super) fn start(self: &Arc<Self>, rps: u16) {
        let workers = u32::from(rps / 100).clamp(1, 32);
        let pause = Duration::from_secs(1) * workers / u32::from(rps);
        for _ in 0..workers {
            tokio::spawn(Arc::clone(self).work(pause));
        }
    }

    /// What was seen since the last time, and starts to count anew.
    pub(super) fn take(&self) -> Seen {
        let mut seen = self.seen();
        let taken = seen.clone();
        seen.answers = [0; 2];
        seen.failed = 0;
        taken
    }

    async fn work(self: Arc<Self>, pause: Duration) {
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut connection = None;
        loop {
            ticks.tick().await;
            let (user, cookie) = self.seen().pick();
            let answer = timeout(PATIENCE, ask(&mut connection, self.port, cookie)).await;
            let answer = answer.ok().flatten();
            if answer.is_none() {
                connection = None;
            }
            self.seen().note(user, answer);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Users who were last answered by `side`.
    pub(super) fn users_on(&self, side: Side) -> usize {
        self.users
            .iter()
            .filter(|user| user.last == Some(side))
            .count()
    }

    /// Users who were answered at all.
    pub(super) fn users(&self) -> usize {
        self.users.iter().filter(|user| user.last.is_some()).count()
    }

    fn pick(&mut self) -> (usize, Option<HeaderValue>) {
        let user = self.next;
        self.next = (user + 1) % self.users.len();
        (user, self.users[user].cookie.clone())
    }

    fn note(&mut self, user: usize, answer: Option<Answer>) {
        let Some(answer) = answer else {
            self.failed += 1;
            return;
        };
        self.failed += u32::from(answer.failed);
        if let Some(side) = answer.side {
            self.answers[side as usize] += 1;
            self.users[user].last = Some(side);
        }
        if answer.cookie.is_some() {
            self.users[user].cookie = answer.cookie;
        }
    }
}

/// Asks on the connection there is, or on a new one; `None` when there is no whole answer.
async fn ask(
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
    port: u16,
    cookie: Option<HeaderValue>,
) -> Option<Answer> {
    if connection.as_ref().is_none_or(SendRequest::is_closed) {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(driver);
        *connection = Some(sender);
    }
    let sender = connection.as_mut()?;
    let mut request = Request::new(Empty::new());
    let host = HeaderValue::from_str(&format!("127.0.0.1:{port}")).ok()?;
    request.headers_mut().insert(header::HOST, host);
    if let Some(cookie) = cookie {
        request.headers_mut().insert(header::COOKIE, cookie);
    }
    sender.ready().await.ok()?;
    let response = sender.send_request(request).await.ok()?;
    let answer = Answer {
        side: side(response.headers()),
        cookie: set_cookie(response.headers()),
        failed: response.status().is_server_error(),
    };
    response.into_body().collect().await.ok()?;
    Some(answer)
}

fn side(headers: &HeaderMap) -> Option<Side> {
    let name = headers.get(ENVIRONMENT)?.to_str().ok()?;
    [Side::Ec2, Side::Ecs]
        .into_iter()
        .find(|side| side.name() == name)
}

fn set_cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    let set = headers.get(header::SET_COOKIE)?.as_bytes();
    let pair = set.split(|&byte| byte == b';').next()?;
    HeaderValue::from_bytes(pair).ok()
}
