//! Black-box tests of the built binary: real processes, real sockets on loopback, free ports.
//!
//! Nothing here but `fuzz` calls into the router's code. `KANARIA_LONG=1` runs the long forms; `docs/testing.md` lists both.
#![cfg(test)]

// The harness: fake environments, the router as a child process, clients, load, statistics.
mod support;
// That the harness itself tells the truth, without a router.
mod harness;

// Where requests go: shares, weights, flags, partitions, conditions, failover.
mod route;
// Routes that answer by themselves: redirects, fixed answers.
mod action;
// Conditions and actions of an ALB, case by case.
mod conformance;
// Who stays where: the cookie, clients with jars, keys.
mod sticky;
// What pools do to each other's cookies.
mod cookies;
// Services that are told what happens.
mod webhooks;
// Scripted clients that log in at one pool and out at the other.
mod audit;
// The same in a real browser.
mod browser;
// Clients that must not change their pool: pins, holds, a pool that drains.
mod pin;
// Signed flags and their pictures.
mod flags;
// What a target sees of a request and a client of an answer.
mod headers;
// Bodies and messages: streaming, chunks, HEAD, 1xx, connections that die.
mod exchange;
// Targets that come, go and fail while traffic runs.
mod pools;
// Pools that find their targets: by DNS, by SRV records, by a file.
mod discovery;
// TLS toward the targets.
mod target_tls;
// TLS toward the clients: certificates by name, what is negotiated, files that change.
mod tls;
// Clients that speak HTTP/2: what reaches a target and what comes back, limits, ends.
mod http2;
// gRPC from end to end.
mod grpc;
// Long and large exchanges, and the statuses of what fails.
mod transfer;
// Health checks: every kind, what is told, what is left behind.
mod health;
// Requests that ask to switch protocols: WebSockets, and what is none.
mod upgrade;
// Connections that begin with a PROXY header.
mod proxy_protocol;
// Requests that two readers could read differently.
mod desync;
// Deadlines and bounds on what a client may do.
mod limits;
// Clients that only hold on, beside an honest one.
mod siege;
// What one pool has not, asked of another.
mod fallback;
// Copies for pools that answer nobody.
mod shadow;
// How much a pool is asked for: caps, limits, deadlines, further tries, what stands in.
mod pressure;
// Known clients that change their pool, by cause, and shares that are not what was asked for.
mod switches;
// Pools beside each other: what was counted, marks, paths that a canary harms.
mod compare;
// Changes of the live state under load: in force when answered, nothing lost.
mod change;
// Targets that come and go by API and by command.
mod targets;
// The way back: one command, at once, whatever is broken.
mod rollback;
// The guard: harm that is taken back, and what is none.
mod guard;
// Ramps: schedules that are kept, and what holds them.
mod ramp;
// What survives: the journal, kill -9, torn and tampered lines.
mod journal;
// Start, reload, drain, exit.
mod lifecycle;
// A new process that takes over from the old one.
mod takeover;
// What systemd is told, and sockets that it opened.
mod systemd;
// The file that is taken by itself when it changes.
mod watch;
// Decisions made once more from the log.
mod explain;
// What a new file would change, foretold from an access log.
mod plan;
// A migration before it happens, with made-up clients.
mod simulate;
// What a load balancer in front is told over the listeners.
mod probe;
// One access-log line per request, and metrics that agree with it.
mod record;
// Access logs: forms, files that are put aside and go, disks that are full.
mod log;
// What watches it from outside: Prometheus, alerts, a dashboard.
mod observe;
// Traces: what targets are told of them, and what a collector gets.
mod trace;
// The admin API from outside: who may, what is refused, what is told.
mod admin;
// The command line from outside: verbs, exit codes, what they print.
mod command;

// The field cases that this release proves, by their number.
mod field;
// Defects of the proxy library that we cure, and bugs once fixed.
mod regression;
// Inputs that fuzzing found or that were written for it, once more.
mod fuzz;
// The house: arrows, pure files, lengths, documents.
mod tidy;
