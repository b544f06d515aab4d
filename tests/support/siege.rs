//! An attack beside an honest client: what that one notices, and what memory does.

use std::thread;
use std::time::{Duration, Instant};

use super::{Kanaria, long, until};

/// Answers that an honest client asks for at least.
const LEAST: usize = 100;
/// What a process may keep of what it had taken (decision 28). A leak of one answer for each slow reader would be 800 MiB.
const KEPT_MIB: usize = 24;

/// Runs `attack` while `honest` asks again and again; prints and checks the time of 99 in 100 of its answers, and that memory
/// grows by at most `most_mib` and comes back while the honest client goes on.
///
/// The bound of the long form is the promise, 100 ms. The short form runs beside other tests on few cores, where 100 ms are
/// the scheduler's.
#[track_caller]
pub(crate) fn besiege(
    name: &str,
    kanaria: &Kanaria,
    most_mib: usize,
    mut honest: impl FnMut(),
    attack: impl FnOnce() + Send,
) {
    let bound = Duration::from_millis(if long() { 100 } else { 1500 });
    honest();
    let resident_mib = || kanaria.resident_kib() / 1024;
    let before = resident_mib();
    let mut times = Vec::new();
    let mut peak = before;
    thread::scope(|scope| {
        let attacking = scope.spawn(attack);
        while !attacking.is_finished() || times.len() < LEAST {
            let began = Instant::now();
            honest();
            times.push(began.elapsed());
            peak = peak.max(resident_mib());
            // Twenty a second and more would be an attack of its own.
            thread::sleep(Duration::from_millis(5));
        }
        attacking.join().expect("the attack itself does not fail");
    });
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    let grown = peak.saturating_sub(before);
    println!(
        "{name}: p99 of {} honest answers {p99:?}, bound {bound:?}; grown by {grown} MiB, bound {most_mib}",
        times.len()
    );
    assert!(p99 < bound, "{name}");
    assert!(grown <= most_mib, "{name}");
    let kept = until("memory comes back", || {
        honest();
        let kept = resident_mib().saturating_sub(before);
        (kept <= KEPT_MIB).then_some(kept)
    });
    println!("{name}: {kept} MiB kept, bound {KEPT_MIB}");
}
