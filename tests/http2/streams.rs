//! What passes: heads, bodies, cookies, interim answers, many at once.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{echo, lines, start};
use crate::support::http2::{Call, Http2, Reply, ask, next, put};
use crate::support::{After, File, Kanaria, Stub, get, sized, until};

#[test]
fn one_listener_speaks_both_and_the_log_says_which() {
    let ec2 = Stub::start("ec2");
    let (kanaria, client) = start(&ec2);
    let reply = client.call(ask("GET", "/a?b=c").header("user-agent", "me"), b"");
    assert_eq!((reply.status, reply.text().as_str()), (200, "ec2"));
    assert_eq!(ec2.last().head.line, "GET /a?b=c HTTP/1.1");
    assert_eq!(ec2.last().head.get("host"), Some("www.example.com"));
    assert_eq!(ec2.last().head.get("x-forwarded-proto"), Some("http"));
    let connections = |protocol: &str| {
        let protocol = format!("protocol=\"{protocol}\"");
        kanaria.admin.metric("kanaria_connections", &[&protocol])
    };
    assert_eq!((connections("HTTP/2"), connections("HTTP/1.1")), (1.0, 0.0));
    assert_eq!(kanaria.client().call(get("/", "")).status, 200);
    let log = kanaria.log_of(2);
    assert_eq!(
        (&log[0]["protocol"], &log[1]["protocol"]),
        (&"HTTP/2".into(), &"HTTP/1.1".into())
    );
    assert_eq!(
        (&log[0]["path"], &log[0]["query"]),
        (&"/a".into(), &"b=c".into())
    );
    assert_eq!(
        (&log[0]["host"], &log[0]["user_agent"]),
        (&"www.example.com".into(), &"me".into())
    );
    // Method, authority, target, name and value of one field; the answer's head and three bytes.
    assert_eq!(log[0]["bytes_in"], 3 + 15 + 6 + 12);
    assert!(log[0]["bytes_out"].as_u64() > Some(20));
    drop(client);
    until("the connection is counted out", || {
        (connections("HTTP/2") == 0.0).then_some(())
    });
}

#[test]
fn a_request_of_http_1_that_is_shorter_than_the_preface_is_answered() {
    let ec2 = Stub::start("ec2");
    let (kanaria, _) = start(&ec2);
    let mut client = kanaria.client();
    assert_eq!(client.call("GET / HTTP/1.0\r\n\r\n").text(), "ec2");
}

#[test]
fn without_the_key_the_preface_is_a_version_we_do_not_speak() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let answer = kanaria.client().call("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(answer.status, 505);
}

#[test]
fn bodies_arrive_whole_with_and_without_a_length() {
    let ec2 = Stub::with("ec2", echo);
    let (_kanaria, client) = start(&ec2);
    for size in [1, 1000, 65_536, 300_000, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let sized = ask("POST", "/").header("content-length", size);
        assert_eq!(client.call(sized, &body).body, body, "{size} sized");
        assert_eq!(
            client.call(ask("POST", "/"), &body).body,
            body,
            "{size} unsized"
        );
    }
    let coding = ec2.last().head.get("transfer-encoding").map(str::to_owned);
    assert_eq!(coding.as_deref(), Some("chunked"));
}

#[test]
fn streams_of_one_connection_run_side_by_side() {
    let ec2 = Stub::with("ec2", echo);
    let (kanaria, client) = start(&ec2);
    let n = sized(100, 1000);
    let body = |n: usize| Bytes::from(vec![(n % 251) as u8; 5000 + n]);
    for first in (0..n).step_by(100) {
        let calls: Vec<_> = (first..first + 100)
            .map(|n| (n, client.begin(ask("POST", "/"), false)))
            .collect();
        client.wait(async {
            for (
                n,
                Call {
                    answer,
                    body: mut out,
                },
            ) in calls
            {
                put(&mut out, body(n)).await.unwrap();
                out.send_data(Bytes::new(), true).unwrap();
                let reply = Reply::read(answer).await.unwrap();
                assert!(reply.body == body(n), "{n}");
            }
        });
    }
    assert!(
        lines(&kanaria, n)
            .iter()
            .all(|line| *line == (Some(200), None))
    );
}

/// cloudflare/pingora#935: an empty last frame ended the body twice, and the second end was read as a request.
#[test]
fn an_empty_last_frame_does_not_end_a_body_twice() {
    let ec2 = Stub::with("ec2", echo);
    let (_kanaria, client) = start(&ec2);
    for n in 1..=5 {
        for body in ["", "abc"] {
            let Call {
                answer,
                body: mut out,
            } = client.begin(ask("POST", "/"), false);
            let reply = client.wait(async {
                if !body.is_empty() {
                    put(&mut out, Bytes::from(body)).await.unwrap();
                    // The part is there before its end is.
                    tokio::task::yield_now().await;
                }
                out.send_data(Bytes::new(), true).unwrap();
                Reply::read(answer).await.unwrap()
            });
            assert_eq!(reply.text(), body, "{n}");
        }
        assert_eq!(client.call(ask("GET", "/"), b"").status, 200);
        assert_eq!(ec2.count(), 3 * n);
    }
}

#[test]
fn cookies_in_crumbs_reach_the_target_in_one_line_without_ours() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::start("ecs");
    let kanaria = Kanaria::start(&File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").h2c());
    let client = Http2::connect(kanaria.public);
    let id = "AAAAAAAAAAAAAAAAAAAAAA";
    let crumbs = ask("GET", "/")
        .header("cookie", "a=1")
        .header("cookie", format!("kanaria={id}"))
        .header("cookie", "b=2");
    let reply = client.call(crumbs, b"");
    assert_eq!(reply.get("set-cookie"), None);
    let head = ec2.last().head;
    assert_eq!(head.all("cookie").collect::<Vec<_>>(), ["a=1; b=2"]);
    assert_eq!(kanaria.log_of(1)[0]["sticky"], "hit");
}

#[test]
fn cookieless_requests_of_a_connection_share_the_id_made_for_the_first() {
    let ec2 = Stub::start("ec2");
    let ecs = Stub::start("ecs");
    let file = File::split(&ec2, &ecs, "ec2 = 50, ecs = 50").h2c();
    let ids = |file: &File| {
        let kanaria = Kanaria::start(file);
        let mut places = BTreeSet::new();
        for _ in 0..10 {
            let client = Http2::connect(kanaria.public);
            for _ in 0..10 {
                let reply = client.call(ask("GET", "/"), b"");
                let cookie = reply.get("set-cookie").map(str::to_owned);
                places.insert((cookie, reply.get("stub").map(str::to_owned)));
            }
        }
        places
    };
    let direct = ids(&file);
    assert_eq!(direct.len(), 10, "{direct:?}");
    assert!(direct.iter().all(|(cookie, _)| cookie.is_some()));
    let proxied = ids(&file.clone().server("trusted_proxies = [\"127.0.0.0/8\"]"));
    assert_eq!(
        proxied.len(),
        100,
        "a proxy's connection carries many clients"
    );
    let afresh = ids(&file.route("sticky = { mode = \"off\" }"));
    assert_eq!(
        afresh.len(),
        2,
        "without stickiness each request is drawn anew"
    );
}

#[test]
fn interim_answers_pass() {
    let ec2 = Stub::with("ec2", |exchange| {
        if exchange.head.get("expect").is_some() {
            exchange.wire.send("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        exchange.body()?;
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
        exchange.wire.send(hints)?;
        exchange.plain()
    });
    let (_kanaria, client) = start(&ec2);
    let Call {
        mut answer,
        body: mut out,
    } = client.begin(ask("POST", "/").header("expect", "100-continue"), false);
    client.wait(async {
        let go_ahead = std::future::poll_fn(|context| answer.poll_informational(context)).await;
        assert_eq!(go_ahead.unwrap().unwrap().status(), 100);
        put(&mut out, Bytes::from("body")).await.unwrap();
        out.send_data(Bytes::new(), true).unwrap();
        let hints = std::future::poll_fn(|context| answer.poll_informational(context)).await;
        let hints = hints.unwrap().unwrap();
        assert_eq!(
            (hints.status().as_u16(), &hints.headers()["link"]),
            (103, &"</a.css>; rel=preload".parse().unwrap())
        );
        let reply = Reply::read(answer).await.unwrap();
        assert_eq!((reply.status, reply.text().as_str()), (200, "ec2"));
    });
}

#[test]
fn answers_without_a_body_are_whole() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        let status = exchange.path().trim_start_matches('/').to_owned();
        let length = if status == "204" {
            ""
        } else {
            "Content-Length: 5\r\n"
        };
        exchange
            .wire
            .send(format!("HTTP/1.1 {status} Any\r\n{length}\r\n"))?;
        Ok(After::Keep)
    });
    let file = File::single(&ec2)
        .h2c()
        .route("match = { path = [\"/2*\", \"/3*\"] }");
    let kanaria = Kanaria::start(&file);
    let client = Http2::connect(kanaria.public);
    let head = client.call(ask("HEAD", "/200"), b"");
    assert_eq!((head.status, head.get("content-length")), (200, Some("5")));
    assert_eq!(client.call(ask("GET", "/204"), b"").status, 204);
    assert_eq!(client.call(ask("GET", "/304"), b"").status, 304);
    assert_eq!(client.call(ask("HEAD", "/none"), b"").status, 404);
    assert!(client.call(ask("GET", "/none"), b"").text().contains("404"));
}

#[test]
fn pieces_pass_both_ways_as_they_come() {
    let ec2 = Stub::with("ec2", |exchange| {
        exchange
            .wire
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for _ in 0..3 {
            let piece = exchange.wire.chunk()?;
            let text = String::from_utf8_lossy(&piece).into_owned();
            exchange
                .wire
                .send(format!("{:x}\r\n{text}\r\n", text.len()))?;
        }
        exchange.wire.send("0\r\n\r\n")?;
        Ok(After::Close)
    });
    let (_kanaria, client) = start(&ec2);
    let Call {
        answer,
        body: mut out,
    } = client.begin(ask("POST", "/"), false);
    client.wait(async {
        let mut back = answer.await.unwrap().into_body();
        for piece in ["one", "two", "three"] {
            put(&mut out, Bytes::from(piece)).await.unwrap();
            assert_eq!(next(&mut back).await.unwrap().unwrap(), piece);
        }
    });
}
