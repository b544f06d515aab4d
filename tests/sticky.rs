//! Who stays where: the cookie, clients with jars, keys.

use std::thread;

use crate::support::{After, Client, Counts, File, Jar, Kanaria, Stub, get, request, sized};

const COOKIE: &str = "kanaria";

fn pair() -> (Stub, Stub) {
    (Stub::start("ec2"), Stub::start("ecs"))
}

/// Every client visits once, over a few connections; where each went.
fn visits(kanaria: &Kanaria, jars: &mut [Jar]) -> Vec<String> {
    let part = jars.len().div_ceil(4);
    thread::scope(|scope| {
        let threads: Vec<_> = jars
            .chunks_mut(part)
            .map(|jars| {
                scope.spawn(move || {
                    let mut client = kanaria.client();
                    let visit = |jar: &mut Jar| jar.visit(&mut client, "/").stub().to_owned();
                    jars.iter_mut().map(visit).collect::<Vec<_>>()
                })
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Vec<String>>| thread.join().unwrap();
        threads.into_iter().flat_map(join).collect()
    })
}

#[test]
fn shares_of_clients_are_exact_and_raises_move_nobody_back() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 99, ecs = 1").quiet());
    let mut jars = vec![Jar::default(); sized(4_000, 10_000)];
    let mut before: Vec<String> = Vec::new();
    for percent in [1, 10, 50] {
        kanaria.admin.set_web(100 - percent, percent);
        let now = visits(&kanaria, &mut jars);
        let counts: Counts = now.iter().map(String::as_str).collect();
        // 0.2 points of 10,000: what decks that are not dealt out leave does not grow with the clients.
        println!("asked {percent} %: {counts}bound 20 clients");
        let asked = jars.len() as f64 * f64::from(percent) / 100.0;
        assert!((counts.share("ecs") * jars.len() as f64 - asked).abs() < 20.5);
        let back = before
            .iter()
            .zip(&now)
            .filter(|(was, is)| *was == "ecs" && *is == "ec2");
        assert_eq!(back.count(), 0, "moved back at {percent} %");
        assert_eq!(
            visits(&kanaria, &mut jars),
            now,
            "moved at constant weights"
        );
        before = now;
    }
    kanaria.admin.set_web(90, 10);
    let lowered = visits(&kanaria, &mut jars);
    let added = before
        .iter()
        .zip(&lowered)
        .filter(|(was, is)| *was == "ec2" && *is == "ecs");
    assert_eq!(added.count(), 0, "a lowering only takes users away");
}

#[test]
fn the_cookie_has_the_promised_form() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let answer = kanaria.client().call(get("/", ""));
    let line = answer
        .head
        .get("set-cookie")
        .expect("a new client gets one");
    let mut parts = line.split("; ");
    let value = parts
        .next()
        .and_then(|pair| pair.strip_prefix("kanaria="))
        .expect(line);
    assert_eq!(value.len(), 22);
    assert!(
        value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    );
    let mut attributes: Vec<_> = parts.collect();
    attributes.sort_unstable();
    assert_eq!(
        attributes,
        ["HttpOnly", "Max-Age=34560000", "Path=/", "SameSite=Lax"]
    );
}

#[test]
fn behind_a_trusted_https_proxy_the_cookie_is_secure() {
    let (ec2, ecs) = pair();
    let file =
        File::split(&ec2, &ecs, "ec2 = 1, ecs = 1").server("trusted_proxies = [\"127.0.0.0/8\"]");
    let kanaria = Kanaria::start(&file);
    let secure = |fields| {
        let answer = kanaria.client().call(get("/", fields));
        let line = answer.head.get("set-cookie").unwrap();
        line.split("; ").any(|part| part == "Secure")
    };
    assert!(secure("X-Forwarded-Proto: https\r\n"));
    assert!(!secure("X-Forwarded-Proto: http\r\n"));
}

#[test]
fn the_cookie_is_sent_only_when_missing_or_invalid() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 1"));
    let mut client = kanaria.client();
    let mut jar = Jar::default();
    jar.visit(&mut client, "/");
    let id = jar.get(COOKIE).expect("set at the first visit").to_owned();
    assert_eq!(jar.visit(&mut client, "/").head.get("set-cookie"), None);
    let bad = [
        "",
        "short",
        "!!!!!!!!!!!!!!!!!!!!!!",
        &id[1..],
        &format!("{id}A"),
        &"A".repeat(9000),
    ];
    for value in bad {
        let answer = Jar::holding(COOKIE, value).visit(&mut client, "/");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.head.all("set-cookie").count(), 1, "{value:?}");
    }
    let log = kanaria.log_of(8);
    let sticky: Vec<_> = log
        .iter()
        .map(|line| line["sticky"].as_str().unwrap())
        .collect();
    assert_eq!(sticky[..3], ["new", "hit", "invalid"]);
}

#[test]
fn the_cookie_rides_on_every_kind_of_answer_of_a_split_route() {
    let ec2 = Stub::with("ec2", |exchange| {
        let status = exchange.path().trim_start_matches('/').to_owned();
        exchange.answer(&format!("{status} Any"), "", b"")
    });
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    for status in ["200", "204", "302", "304", "404", "500", "503"] {
        let answer = kanaria.client().call(get(&format!("/{status}"), ""));
        assert_eq!(answer.status.to_string(), status);
        assert_eq!(answer.head.all("set-cookie").count(), 1, "{status}");
    }
    ec2.die();
    let ours = kanaria.client().call(get("/200", ""));
    assert!(matches!(ours.status, 502 | 503));
    assert_eq!(ours.head.all("set-cookie").count(), 1, "an error of ours");
}

#[test]
fn a_route_with_one_pool_sets_no_cookie() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let answer = kanaria.client().call(get("/", ""));
    assert_eq!(answer.head.get("set-cookie"), None);
}

#[test]
fn the_applications_own_cookies_stay() {
    let lines =
        "Set-Cookie: sess=1; Domain=example.com\r\nSet-Cookie: sess=2\r\nset-cookie: a=b\r\n";
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.answer("200 OK", lines, b"ec2")
    });
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let answer = kanaria.client().call(get("/", ""));
    let all: Vec<_> = answer.head.all("set-cookie").collect();
    assert_eq!(all[..3], ["sess=1; Domain=example.com", "sess=2", "a=b"]);
    assert!(all[3].starts_with("kanaria="));
    assert_eq!(all.len(), 4);
}

#[test]
fn no_cookie_is_set_on_answers_for_shared_caches() {
    let ec2 = Stub::with("ec2", |exchange| {
        let field = exchange.head.get("x-answer").unwrap_or_default().to_owned();
        exchange.answer("200 OK", &format!("{field}\r\n"), b"ec2")
    });
    let ecs = Stub::start("ecs");
    let cases = [
        ("Cache-Control: public", 0),
        ("Cache-Control: s-maxage=60", 0),
        ("Cache-Control: max-age=60", 0),
        ("Cache-Control: Max-Age=\"60\", must-revalidate", 0),
        ("Expires: Fri, 31 Dec 2100 23:59:59 GMT", 0),
        ("Surrogate-Control: max-age=60", 0),
        ("CDN-Cache-Control: max-age=60", 0),
        ("Cache-Control: private, max-age=60", 1),
        ("Cache-Control: no-store", 1),
        ("Cache-Control: max-age=0", 1),
        ("Cache-Control: no-cache", 1),
        ("Expires: Thu, 01 Jan 1970 00:00:00 GMT", 1),
        ("X-Other: 1", 1),
    ];
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    for (field, n) in cases {
        let answer = kanaria
            .client()
            .call(get("/", &format!("X-Answer: {field}\r\n")));
        assert_eq!(answer.head.all("set-cookie").count(), n, "{field}");
    }
    let always =
        File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").route("[routes.sticky]\non_cacheable = true");
    let kanaria = Kanaria::start(&always);
    let answer = kanaria
        .client()
        .call(get("/", "X-Answer: Cache-Control: public\r\n"));
    assert_eq!(answer.head.all("set-cookie").count(), 1);
}

#[test]
fn our_cookie_goes_no_further_and_all_others_arrive_byte_for_byte() {
    let (ec2, ecs) = pair();
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    let cases = [
        (format!("kanaria={id}"), None),
        (format!("a=1; kanaria={id}; b=2"), Some("a=1; b=2")),
        (
            format!("a=1;  b=\"x y\";kanaria={id}"),
            Some("a=1;  b=\"x y\""),
        ),
        (format!("kanaria={id}; b==;;c"), Some("b==;;c")),
        (
            "xkanaria=1; kanaria2=2".into(),
            Some("xkanaria=1; kanaria2=2"),
        ),
        ("a=1; a=2".into(), Some("a=1; a=2")),
    ];
    for (sent, arrives) in cases {
        client.call(get("/", &format!("Cookie: {sent}\r\n")));
        let head = ec2.last().head;
        assert_eq!(head.get("cookie"), arrives, "{sent:?}");
    }
}

#[test]
fn sticky_off_places_every_request_afresh() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1").route("[routes.sticky]\nmode = \"off\"");
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let mut jar = Jar::default();
    let went: Counts = (0..200)
        .map(|_| jar.visit(&mut client, "/").stub().to_owned())
        .collect::<Vec<_>>()
        .iter()
        .map(String::as_str)
        .collect();
    println!("{went}");
    assert_eq!(jar.get(COOKIE), None);
    assert!(went.share("ecs") > 0.3 && went.share("ecs") < 0.7);
}

#[test]
fn a_key_of_the_request_places_clients_without_our_cookie() {
    let (ec2, ecs) = pair();
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1")
        .route("[routes.sticky]\nkeys = [\"header:Authorization\", \"cookie:session\"]");
    let kanaria = Kanaria::start(&file);
    let place = |client: &mut Client, fields: &str| {
        client
            .call(request("GET", "/", fields, ""))
            .stub()
            .to_owned()
    };
    let mut client = kanaria.client();
    let mut seen = Vec::new();
    for user in 0..40 {
        let by_header = format!("Authorization: Bearer {user}\r\n");
        let by_cookie = format!("Cookie: session={user}\r\n");
        for fields in [by_header, by_cookie] {
            let first = place(&mut client, &fields);
            assert!(
                (0..3).all(|_| place(&mut client, &fields) == first),
                "{fields}"
            );
            seen.push(first);
        }
    }
    assert!(seen.iter().any(|stub| stub == "ec2") && seen.iter().any(|stub| stub == "ecs"));
}

#[test]
fn routes_of_one_cohort_place_a_client_alike_and_cohorts_differ() {
    let (ec2, ecs) = pair();
    let route = |name: &str, cohort: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = [\"/{name}\"] }}\nstable = \"ec2\"\n\
             weights = {{ ec2 = 1, ecs = 1 }}\ncohort = \"{cohort}\"\n"
        )
    };
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 1")
        .before(&[route("a", "one"), route("b", "one"), route("c", "other")].concat());
    let kanaria = Kanaria::start(&file);
    let mut client = kanaria.client();
    let mut apart = 0;
    for _ in 0..60 {
        let mut jar = Jar::default();
        let mut go = |path| jar.visit(&mut client, path).stub().to_owned();
        let (a, b, c) = (go("/a"), go("/b"), go("/c"));
        assert_eq!(a, b);
        apart += usize::from(a != c);
    }
    println!("{apart} of 60 differ between cohorts");
    assert!((10..50).contains(&apart));
}

/// Cases of the working group on RFC 6265 from a folder `shared/vectors` beside the repository, which a clone need not have.
#[test]
fn set_cookie_lines_of_the_working_group_pass_untouched() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = "shared/vectors/http-state/parser.json";
    let Some(text) = root
        .ancestors()
        .find_map(|up| std::fs::read_to_string(up.join(path)).ok())
    else {
        println!("skipped: no {path} beside the repository");
        return;
    };
    let cases: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    // NUL and CR inside a value are cases for parsers of cookies; RFC 9110 section 5.5 forbids them in a field.
    let sendable = |case: &&serde_json::Value| {
        let text = case["received"].to_string();
        !text.contains("\\u0000") && !text.contains("\\r")
    };
    let lines: Vec<Vec<String>> = cases
        .iter()
        .filter(sendable)
        .map(|case| {
            let received = case["received"].as_array().unwrap().iter();
            // The stub writes characters as bytes of the same number.
            let bytes =
                |line: &serde_json::Value| line.as_str().unwrap().bytes().map(char::from).collect();
            received.map(bytes).collect()
        })
        .collect();
    let answers = lines.clone();
    let ec2 = Stub::with("ec2", move |exchange| {
        exchange.body()?;
        let case: usize = exchange.path()[1..]
            .parse()
            .map_err(std::io::Error::other)?;
        let fields: String = answers[case]
            .iter()
            .map(|line| format!("Set-Cookie: {line}\r\n"))
            .collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        exchange
            .wire
            .send(head.chars().map(|c| c as u8).collect::<Vec<_>>())?;
        Ok(After::Keep)
    });
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0"));
    let mut client = kanaria.client();
    for (number, lines) in lines.iter().enumerate() {
        let answer = client.call(get(&format!("/{number}"), ""));
        let mut expected: Vec<_> = lines
            .iter()
            .map(|line| line.trim_matches([' ', '\t']))
            .collect();
        let all: Vec<_> = answer.head.all("set-cookie").collect();
        let own = *all.last().unwrap();
        assert!(own.starts_with("kanaria="), "case {number}: {all:?}");
        expected.push(own);
        assert_eq!(all, expected, "case {number}");
    }
    println!("{} cases", lines.len());
}
