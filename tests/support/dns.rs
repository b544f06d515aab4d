//! A name server of the tests' own: UDP and TCP on one port, answers from a table, and misbehaves on demand.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const OPT: u16 = 41;

/// A running name server; it dies with this value.
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    Answers,
    /// Says of every name that it has no records.
    Empty,
    /// Denies every name.
    NoSuchName,
    Refuses,
    ServFail,
    Silent,
}

/// Seconds to live, and the data of each record.
type Records = (u32, Vec<Vec<u8>>);

struct Shared {
    alive: AtomicBool,
    mood: Mutex<Mood>,
    zone: Mutex<BTreeMap<(String, u16), Records>>,
    asked: AtomicUsize,
    by_tcp: AtomicUsize,
}

struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// As it came, to be sent back.
    raw: Vec<u8>,
    /// What the asker takes by UDP.
    room: usize,
}

impl Dns {
    /// One that knows no name.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared {
            alive: AtomicBool::new(true),
            mood: Mutex::new(Mood::Answers),
            zone: Mutex::default(),
            asked: AtomicUsize::new(0),
            by_tcp: AtomicUsize::new(0),
        });
        let (udp, tcp) = super::until("a port that is free by UDP and TCP", || {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        });
        let address = udp.local_addr().expect("bound above");
        let dns = Self { address, shared };
        dns.serve(udp, tcp);
        dns
    }

    /// The addresses of `name` from now on, in place of those before.
    pub(crate) fn set(&self, name: &str, ttl: u32, addresses: &[IpAddr]) {
        let data = |wanted: fn(&IpAddr) -> bool| -> Vec<Vec<u8>> {
            let addresses = addresses.iter().filter(|ip| wanted(ip));
            let octets = addresses.map(|ip| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            });
            octets.collect()
        };
        let mut zone = lock(&self.shared.zone);
        zone.insert((name.into(), A), (ttl, data(IpAddr::is_ipv4)));
        zone.insert((name.into(), AAAA), (ttl, data(IpAddr::is_ipv6)));
    }

    /// The services of `name` from now on: priority, weight, port, host.
    pub(crate) fn set_services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let data = services.iter().map(|(priority, weight, port, host)| {
            let numbers = [priority, weight, port].map(|n| n.to_be_bytes());
            [numbers.concat(), encoded(host)].concat()
        });
        let mut zone = lock(&self.shared.zone);
        zone.insert((name.into(), SRV), (ttl, data.collect()));
    }

    /// How it answers from now on.
    pub(crate) fn set_mood(&self, mood: Mood) {
        *lock(&self.shared.mood) = mood;
    }

    /// How many questions came, by UDP and TCP.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Acquire)
    }

    /// How many of them by TCP.
    pub(crate) fn by_tcp(&self) -> usize {
        self.shared.by_tcp.load(Ordering::Acquire)
    }

    /// Closes both sockets.
    pub(crate) fn die(&self) {
        if !self.shared.alive.swap(false, Ordering::AcqRel) {
            return;
        }
        // Each accepting thread notices by this and drops its socket.
        let wake =
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.send_to(&[0], self.address));
        drop((wake, TcpStream::connect(self.address)));
        super::until("the port of a dead name server is closed", || {
            UdpSocket::bind(self.address).ok()?;
            TcpListener::bind(self.address).ok()
        });
    }

    /// Listens again at the same address.
    pub(crate) fn revive(&self) {
        let (udp, tcp) = super::until("the port of the name server is free again", || {
            let udp = UdpSocket::bind(self.address).ok()?;
            Some((udp, TcpListener::bind(self.address).ok()?))
        });
        self.shared.alive.store(true, Ordering::Release);
        self.serve(udp, tcp);
    }

    fn serve(&self, udp: UdpSocket, tcp: TcpListener) {
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
                if !shared.alive.load(Ordering::Acquire) {
                    return;
                }
                let question = Question::read(&buffer[..length]);
                if let Some(answer) = question.and_then(|it| shared.answer(&it, it.room)) {
                    // Whoever asked may have gone.
                    let _ = udp.send_to(&answer, peer);
                }
            }
        });
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = tcp.accept() {
                if !shared.alive.load(Ordering::Acquire) {
                    return;
                }
                let shared = Arc::clone(&shared);
                // A connection that breaks is the asker's business.
                thread::spawn(move || drop(shared.converse(stream)));
            }
        });
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.die();
    }
}

impl Shared {
    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(super::DEADLINE))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut message)?;
            self.by_tcp.fetch_add(1, Ordering::AcqRel);
            let question = Question::read(&message);
            let Some(answer) = question.and_then(|it| self.answer(&it, usize::MAX)) else {
                continue;
            };
            if !self.alive.load(Ordering::Acquire) {
                return Ok(());
            }
            stream.write_all(&(answer.len() as u16).to_be_bytes())?;
            stream.write_all(&answer)?;
        }
    }

    fn answer(&self, question: &Question, room: usize) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::AcqRel);
        let zone = lock(&self.zone);
        let known = zone.keys().any(|(name, _)| *name == question.name);
        let none = (0, Vec::new());
        let records = zone.get(&(question.name.clone(), question.kind));
        let (code, (ttl, records)) = match *lock(&self.mood) {
            Mood::Answers if known => (0, records.unwrap_or(&none)),
            Mood::Answers | Mood::NoSuchName => (3, &none),
            Mood::Empty => (0, &none),
            Mood::Refuses => (5, &none),
            Mood::ServFail => (2, &none),
            Mood::Silent => return None,
        };
        let whole = message(question, code, false, *ttl, records);
        Some(if whole.len() <= room {
            whole
        } else {
            message(question, code, true, *ttl, &[])
        })
    }
}

impl Question {
    fn read(message: &[u8]) -> Option<Self> {
        let id = [*message.first()?, *message.get(1)?];
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*message.get(at)?);
            let label = message.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_lowercase());
        }
        let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
        let raw = message.get(12..at + 4)?.to_vec();
        // What follows is an OPT record at the root, or nothing.
        let room = match message.get(at + 4..at + 9) {
            Some([0, hi, lo, size @ ..]) if [*hi, *lo] == OPT.to_be_bytes() => {
                u16::from_be_bytes([size[0], size[1]]).max(512).into()
            }
            _ => 512,
        };
        Some(Self {
            id,
            name: labels.join("."),
            kind,
            raw,
            room,
        })
    }
}

fn message(
    question: &Question,
    code: u8,
    truncated: bool,
    ttl: u32,
    records: &[Vec<u8>],
) -> Vec<u8> {
    let mut message = question.id.to_vec();
    // An answer, authoritative, cut short or not, to somebody who asked for recursion, which is available.
    message.extend([0x85 | u8::from(truncated) << 1, 0x80 | code, 0, 1]);
    message.extend((records.len() as u16).to_be_bytes());
    message.extend([0; 4]);
    message.extend(&question.raw);
    for data in records {
        message.extend([0xc0, 12]);
        message.extend(question.kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    message
}

fn encoded(name: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        encoded.push(label.len() as u8);
        encoded.extend(label.as_bytes());
    }
    encoded.push(0);
    encoded
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
