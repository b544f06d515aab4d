//! Pairs of pools, as tables of lines.

use super::*;
use crate::{Origin, Place, SetCookie};

const POOLS: [&str; 2] = ["ec2", "ecs"];

/// What is found when each pool has answered these lines; several in one answer are parted by ` & `.
fn found(ec2: &[&str], ecs: &[&str]) -> Vec<Finding> {
    found_at(["/login"; 2], ec2, ecs)
}

/// The same when the requests to each pool were for another path.
fn found_at(paths: [&str; 2], ec2: &[&str], ecs: &[&str]) -> Vec<Finding> {
    let place = |path| Place {
        origin: Origin {
            host: "www.example.com",
            path,
            secure: true,
        },
        now: 1_800_000_000,
    };
    let mut crumbs = Vec::new();
    for ((pool, answers), path) in [("ec2", ec2), ("ecs", ecs)].into_iter().zip(paths) {
        let place = place(path);
        for answer in answers {
            let lines: Vec<_> = answer.split(" & ").collect();
            for line in &lines {
                let cookie = SetCookie::read(line.as_bytes()).unwrap();
                let beside = cookie.deletes(place.now) && lines.len() > 1;
                crumbs.push((pool, Crumb::of(&cookie, beside, &place)));
            }
        }
    }
    let seen: Vec<_> = crumbs
        .iter()
        .map(|(pool, crumb)| Seen { pool, crumb })
        .collect();
    find(&POOLS, &seen)
}

#[track_caller]
fn check(ec2: &[&str], ecs: &[&str], expected: &[What]) {
    let found: Vec<_> = found(ec2, ecs).iter().map(|finding| finding.what).collect();
    assert_eq!(found, expected, "{ec2:?} {ecs:?}");
}

#[test]
fn pools_that_do_alike_are_at_peace() {
    let both = [
        "sess=1; Path=/; HttpOnly",
        "sess=; Path=/; Max-Age=0",
        "lang=ja",
    ];
    check(&both, &both, &[]);
    check(&both, &[], &[]);
    check(&["sess=1"], &["other=1; Domain=example.com"], &[]);
    // Domain in another case, with a leading dot: the same.
    check(
        &["sess=1; Domain=.Example.com"],
        &["sess=1; Domain=example.com"],
        &[],
    );
    // Both set both: whatever that is for, they do not differ.
    let both = ["sess=1; Path=/", "sess=1; Path=/; Domain=example.com"];
    check(&both, &both, &[]);
}

#[test]
fn one_name_for_two_domains_breaks_the_logout() {
    let ec2 = ["sess=1; Path=/; Domain=example.com"];
    let ecs = ["sess=1; Path=/", "sess=; Path=/; Max-Age=0"];
    check(&ec2, &ecs, &[What::Scope]);
    check(&ecs, &ec2, &[What::Scope]);
    let finding = &found(&ec2, &ecs)[0];
    assert_eq!(
        (finding.name.as_str(), &finding.pools[..]),
        ("sess", &POOLS.map(String::from)[..])
    );
    assert_eq!(
        finding.sentence,
        "`sess` is two cookies to a browser, because ec2 sets it for the domain example.com and ecs for the host \
         www.example.com alone: a client that was at both sends both, the server reads one of them, most often the older, \
         and a logout at ecs leaves the one of ec2, so the client stays logged in, and once ecs has all requests nothing \
         can delete it any more"
    );
    assert_eq!(
        finding.rule.as_deref().unwrap(),
        "[pools.ec2.cookies]\nexpire = [{ name = \"sess\", when = \"set\", domains = [\"\"] }]\n\n\
         [pools.ecs.cookies]\nexpire = [{ name = \"sess\", when = \"set\", domains = [\"example.com\"] }]\n"
    );
}

#[test]
fn who_forgets_the_others_in_favor_of_its_own_is_at_peace() {
    let ec2 = ["sess=; Path=/; Max-Age=0 & sess=1; Path=/; Domain=example.com"];
    let ecs = ["sess=; Path=/; Domain=example.com; Max-Age=0 & sess=1; Path=/"];
    check(&ec2, &ecs, &[]);
    check(&ec2, &["sess=1; Path=/"], &[What::Scope]);
}

#[test]
fn one_name_for_two_paths_is_two_cookies_where_both_are_sent() {
    check(&["sess=1; Path=/"], &["sess=1; Path=/shop"], &[What::Scope]);
    check(&["sess=1; Path=/a"], &["sess=1; Path=/b"], &[]);
    // Without a path it is that of the request.
    check(&["sess=1"], &["sess=1; Path=/"], &[]);
    let finding = &found(&["a=1; Path=/"], &["a=1; Path=/shop"])[0];
    assert!(
        finding.sentence.contains("alone under /shop"),
        "{}",
        finding.sentence
    );
    assert!(
        finding
            .rule
            .as_ref()
            .unwrap()
            .contains("domains = [\"\"], path = \"/shop\"")
    );
}

/// Pools get their first requests in whatever order: a path that both leave to the request is no difference.
#[test]
fn a_path_that_is_the_requests_own_is_the_same_for_both_pools() {
    let check = |ec2: &[&str], ecs: &[&str], expected: &[What]| {
        let found = found_at(["/shop/login", "/login"], ec2, ecs);
        let found: Vec<_> = found.iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected, "{ec2:?} {ecs:?}");
    };
    let both = ["sess=1; HttpOnly", "sess=; Max-Age=0"];
    check(&both, &both, &[]);
    check(&["sess=1"], &["sess=1; Path=/"], &[What::Scope]);
    check(&["sess=1"], &["sess=1; Secure"], &[What::Flags]);
    // What is deleted under one path stays under the other.
    check(&["sess=1"], &["sess=; Max-Age=0"], &[What::Undeletable]);
}

#[test]
fn a_logout_that_misses_the_others_cookie_is_found() {
    let ec2 = ["sess=1; Path=/; Domain=example.com"];
    check(&ec2, &["sess=; Path=/; Max-Age=0"], &[What::Undeletable]);
    check(
        &ec2,
        &[
            "sess=; Path=/; Max-Age=0",
            "sess=; Path=/; Domain=example.com; Max-Age=0",
        ],
        &[],
    );
    let ecs = [
        "sess=1; Path=/; Domain=example.com",
        "sess=; Path=/; Max-Age=0",
    ];
    // Its own affair, and the other's too, but said once.
    check(&ec2, &ecs, &[What::Outlives]);
}

#[test]
fn flags_and_times_that_differ_are_found() {
    check(&["a=1; HttpOnly"], &["a=1"], &[What::Flags]);
    check(&["a=1; Secure"], &["a=1"], &[What::Flags]);
    check(
        &["a=1; SameSite=Lax"],
        &["a=1; SameSite=Strict"],
        &[What::Flags],
    );
    check(&["a=1; Max-Age=60"], &["a=1"], &[What::Lifetime]);
    check(&["a=1; Max-Age=60"], &["a=1; Max-Age=3600"], &[]);
    check(
        &["a=1; Max-Age=60"],
        &["a=1; Max-Age=9999999"],
        &[What::Lifetime],
    );
    // One pool does both.
    check(&["a=1", "a=1; Max-Age=60"], &["a=1; Max-Age=60"], &[]);
    let finding = &found(&["a=1; Secure; HttpOnly"], &["a=1"])[0];
    assert!(
        finding.sentence.contains("ecs cannot replace it there"),
        "{}",
        finding.sentence
    );
    assert!(
        finding
            .sentence
            .contains("scripts of a page can read it after ecs")
    );
    assert_eq!(
        finding.rule.as_deref(),
        Some(
            "[pools.ecs.cookies]\nrequest.rename = { a_ecs = \"a\" }\nresponse.rename = { a = \"a_ecs\" }\n"
        )
    );
}

#[test]
fn what_browsers_do_not_take_is_no_conflict() {
    check(&["a=1; Domain=example.org"], &["a=1"], &[What::Ignored]);
    check(&["a=1; SameSite=None"], &["a=1"], &[What::Ignored]);
    check(&["a=; Path=/"], &[], &[What::Outlives]);
}

#[test]
fn names_cannot_break_a_rule() {
    let finding = &found(
        &["a\"b$=1; Path=/; Domain=example.com"],
        &["a\"b$=1; Path=/"],
    )[0];
    assert!(
        finding
            .rule
            .as_ref()
            .unwrap()
            .contains("name = \"a\\\"b$\"")
    );
    let finding = &found(&["a$=1; Path=/${B}"], &["a$=1; Path=/${B}; HttpOnly"])[0];
    assert_eq!(
        finding.rule.as_deref(),
        Some(
            "[pools.ecs.cookies]\nrequest.rename = { \"a$_ecs\" = \"a$\" }\nresponse.rename = { \"a$\" = \"a$_ecs\" }\n"
        )
    );
    let finding = &found(&["a=1; Path=/"], &["a=1; Path=/${B}"])[0];
    assert!(finding.rule.as_ref().unwrap().contains("path = \"/$${B}\""));
}
