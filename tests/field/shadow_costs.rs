//! GREE: what clients notice of copies, and what copies cost.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::shadows::{BOUNDS, settled, shadowed, troubled};
use crate::support::{File, Kanaria, Stub, get, long, sized};

/// With and without a shadow that gets everything: what clients wait for, and what a request costs.
///
/// Router, clients and both pools share the cores of the machine; the shadow pool, which is another machine in truth, comes
/// last.
#[test]
fn field_gree_04_costs() {
    let (ec2, ecs) = (Stub::start("ec2"), Stub::aside(|| Stub::start("ecs")));
    let plain = Kanaria::start(&File::single(&ec2).pool("ecs", &[ecs.address]).quiet());
    let shadow = Kanaria::start(&shadowed(&ec2, &ecs, "compare = false").quiet());
    let mut copies = 0;
    let (waits, cpu) = in_turns([&plain, &shadow], sized(1, 10), |n| {
        copies += n;
        let _ = settled(&shadow, copies);
    });
    let costs = cpu[1] as f64 / cpu[0].max(1) as f64;
    println!("CPU {cpu:?} ticks, ratio {costs:.2}, goal 2.0");
    // The goals are for a release build on a machine of its own.
    assert!(costs < 4.0, "{costs}");
    assert!(waits < 3.0, "{waits}");
}

/// The same beside a pool in trouble.
#[test]
fn field_gree_04_costs_in_trouble() {
    let ec2 = Stub::start("ec2");
    for (what, ecs) in Stub::aside(troubled) {
        let plain = Kanaria::start(&File::single(&ec2).pool("ecs", &[ecs.address]).quiet());
        let shadow = Kanaria::start(&shadowed(&ec2, &ecs, BOUNDS).quiet());
        print!("{what}: ");
        let (waits, _) = in_turns([&plain, &shadow], sized(1, 4), |_| {});
        // Beside other tests on few cores it is they who are measured.
        assert!(!long() || waits < 3.0, "{what}: {waits}");
    }
}

/// Five runs at two routers, each of so many turns of a second, one after the other, so that whatever else the machine does
/// meets both alike: by how much clients wait longer at the second one, at the 99th percentile, and what both took of the CPU.
///
/// `rest` is told of every turn of the second one, how many requests it had.
fn in_turns(routers: [&Kanaria; 2], turns: usize, mut rest: impl FnMut(usize)) -> (f64, [u64; 2]) {
    let n = sized(400, 1000);
    let (mut p99s, mut cpu) = ([Vec::new(), Vec::new()], [0, 0]);
    for _ in 0..5 {
        let mut times = [Vec::new(), Vec::new()];
        for (side, kanaria) in (0..turns).flat_map(|_| routers.into_iter().enumerate()) {
            let before = ticks(kanaria);
            times[side].extend(paced(kanaria, n, Duration::from_millis(4)));
            if side == 1 {
                rest(n);
            }
            cpu[side] += ticks(kanaria) - before;
        }
        for (p99s, mut times) in p99s.iter_mut().zip(times) {
            times.sort_unstable();
            p99s.push(times[times.len() * 99 / 100]);
        }
    }
    println!("p99 of each run without and with: {p99s:?}");
    let medians = p99s.map(|mut p99s| {
        p99s.sort_unstable();
        p99s[2]
    });
    let waits = medians[1].as_secs_f64() / medians[0].as_secs_f64();
    println!("p99 {medians:?}, ratio {waits:.3}, goal 1.05");
    (waits, cpu)
}

/// How long each of `n` requests took, of which each of four clients sends one every `pace`.
fn paced(kanaria: &Kanaria, n: usize, pace: Duration) -> Vec<Duration> {
    let client = || {
        let mut client = kanaria.client();
        let begun = Instant::now();
        let times = (0..n / 4).map(|n| {
            let due = begun + pace * n as u32;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let sent = Instant::now();
            let answer = client.call(get("/", ""));
            assert_eq!((answer.status, answer.stub()), (200, "ec2"));
            answer.at - sent
        });
        times.collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let times = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        times.collect()
    })
}

/// User and system time of the router, in ticks of the system.
fn ticks(kanaria: &Kanaria) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", kanaria.id())).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let times = fields.skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}
