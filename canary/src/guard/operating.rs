//! Operating characteristics: the guard of a route over virtual days of synthetic users.
//!
//! The short form is a sample of the long one (`KANARIA_LONG=1`, built with `--release`), which runs what was promised.

use super::whole::tests::rules;
use super::*;

/// Users of the site; heavy ones come more often.
const USERS: u64 = 4_000;
/// Requests in five seconds, on average over the day.
const REQUESTS: f64 = 400.0;
/// Windows in an hour.
const HOUR: u64 = 3600 / WINDOW_S;

/// A generator that a failed run names by its seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn part(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// What a run is like.
#[derive(Clone, Copy)]
struct Site {
    /// The canary's part of the users.
    share: f64,
    /// How often a request of stable fails, and of the canary from this window on.
    p_b: f64,
    p_c: f64,
    from: u64,
    /// A user of the canary whose requests all fail.
    bot: bool,
}

/// Runs `hours`; the window in which the canary was taken back.
fn run(site: &Site, seed: u64, hours: u64) -> Option<u64> {
    let mut chance = Chance(seed);
    let mut guard = Guard::new(Evidence::new(rules()));
    // The temper knows stable for three hours before the canary starts.
    let warm = 3 * HOUR;
    for window in 0..warm + hours * HOUR {
        let armed = if window < warm { Armed::No } else { Armed::Yes };
        let share = if window < warm { 0.0 } else { site.share };
        let observed = observe(
            site,
            &mut chance,
            window,
            share,
            window.saturating_sub(warm) >= site.from,
        );
        if window == warm {
            guard.stepped();
        }
        if guard.close(&observed, armed).trip.is_some() {
            return Some(window - warm);
        }
    }
    None
}

fn observe(site: &Site, chance: &mut Chance, window: u64, share: f64, harmed: bool) -> Observed {
    let mut observed = Observed {
        start_ms: window * WINDOW_S * 1000,
        ..Observed::default()
    };
    // Five times as much by day as by night.
    let day = std::f64::consts::TAU * window as f64 / (24 * HOUR) as f64;
    let n_requests = (REQUESTS * (1.0 - 0.667 * day.cos())) as u64;
    for _ in 0..n_requests {
        // The square makes a quarter of the users send half of the requests.
        let user = (chance.part().powi(2) * USERS as f64) as u64;
        let hash = Chance(user).draw();
        let is_canary = (hash >> 32) as f64 / f64::from(u32::MAX) < share;
        let side = usize::from(!is_canary);
        observed.active[side].insert(hash as u16);
        let p = if is_canary && harmed {
            site.p_c
        } else {
            site.p_b
        };
        if chance.part() < p {
            observed.errors[side].insert(hash as u16);
        }
    }
    if site.bot && share > 0.0 {
        observed.active[0].insert(7);
        observed.errors[0].insert(7);
    }
    observed
}

/// `short`, or `full` in the long form.
#[expect(
    clippy::disallowed_methods,
    reason = "a test asks how long it may take"
)]
fn sized(short: u64, full: u64) -> u64 {
    if std::env::var("KANARIA_LONG").is_ok() {
        full
    } else {
        short
    }
}

#[test]
fn days_without_harm_take_nothing_back() {
    let (n_runs, hours) = (sized(6, 200), sized(2, 24));
    let site = Site {
        share: 0.1,
        p_b: 0.005,
        p_c: 0.005,
        from: 0,
        bot: true,
    };
    let false_alarms: Vec<_> = (0..n_runs)
        .filter(|seed| run(&site, *seed, hours).is_some())
        .collect();
    println!(
        "{n_runs} runs of {hours} h without harm, with a bot that always fails: {} rollbacks, bound 0",
        false_alarms.len()
    );
    assert!(false_alarms.is_empty(), "seeds {false_alarms:?}");
}

#[test]
fn harm_is_found_about_as_soon_as_it_was_simulated() {
    let n_runs = sized(5, 50);
    // Canary's failures, from which window on, and within how many windows.
    for (p_c, from, bound) in [(0.5, 0, 4), (0.5, 360, 5), (0.1, 0, 12), (0.05, 360, 36)] {
        let site = Site {
            share: 0.1,
            p_b: 0.001,
            p_c,
            from,
            bot: false,
        };
        let mut took: Vec<_> = (0..n_runs)
            .map(|seed| {
                run(&site, 1_000 + seed, 6).expect("harm is found") as i64 - from as i64 + 1
            })
            .collect();
        took.sort_unstable();
        let median = took[took.len() / 2];
        println!(
            "{} % against 0.1 % from window {from} on: median {median} windows, bound {bound}",
            p_c * 100.0
        );
        assert!(took[0] > 0, "before there was any: {took:?}");
        assert!(median <= bound, "{took:?}");
    }
}

/// The quickest of twelve windows: the machine may have something else to do in the others.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test measures how long closing takes"
)]
fn closing_windows_of_100_routes_takes_less_than_5_ms() {
    let site = Site {
        share: 0.1,
        p_b: 0.005,
        p_c: 0.005,
        from: 0,
        bot: false,
    };
    // Without optimization it takes some ten times as long.
    let bound_ms = sized(60, 5);
    let mut chance = Chance(1);
    let mut guards: Vec<_> = (0..100)
        .map(|_| Guard::new(Evidence::new(rules())))
        .collect();
    let quickest = (0..12).map(|window| {
        // By day there is most to close.
        let observed = observe(&site, &mut chance, 12 * HOUR + window, 0.1, false);
        let begin = std::time::Instant::now();
        for guard in &mut guards {
            let taken = guard.close(&observed, Armed::Yes).taken;
            assert_eq!(taken.len(), 2, "errors and refusals are bet on");
        }
        begin.elapsed()
    });
    let quickest = quickest.min().expect("there are windows");
    println!("closing 100 windows takes {quickest:.1?}, bound {bound_ms} ms");
    assert!(quickest.as_millis() < u128::from(bound_ms));
}
