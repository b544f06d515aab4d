//! What a target sees of a request and a client of an answer.

use crate::support::{File, Kanaria, Seen, Stub, get, request};

const CLAIMS: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
                      X-Forwarded-Port: 4443\r\nX-Forwarded-Host: claimed.example\r\n";

#[track_caller]
fn seen(kanaria: &Kanaria, stub: &Stub, fields: &str) -> Seen {
    let answer = kanaria.client().call(get("/", fields));
    assert_eq!(answer.status, 200, "{}", answer.text());
    stub.last()
}

/// The values of the four headers, several lines joined as RFC 9110 section 5.3 allows.
fn forwarded(seen: &Seen) -> [Option<String>; 4] {
    ["for", "proto", "port", "host"].map(|name| {
        let all: Vec<_> = seen
            .head
            .all(&format!("x-forwarded-{name}"))
            .map(str::to_owned)
            .collect();
        (!all.is_empty()).then(|| all.join(", "))
    })
}

#[test]
fn four_forwarded_headers_in_four_modes_from_strangers() {
    let ec2 = Stub::start("ec2");
    for mode in ["append", "set", "preserve", "remove"] {
        let file = File::single(&ec2).server(&format!(
            "forwarded = {{ for = \"{mode}\", proto = \"{mode}\", port = \"{mode}\", host = \"{mode}\" }}"
        ));
        let kanaria = Kanaria::start(&file);
        let port = kanaria.public.port();
        let own = [
            "127.0.0.1".into(),
            "http".into(),
            port.to_string(),
            "www.example.com".into(),
        ];
        let claimed = ["203.0.113.9", "https", "4443", "claimed.example"];
        let expected: Vec<Option<String>> = (0..4)
            .map(|n| match mode {
                "append" => Some(format!("{}, {}", claimed[n], own[n])),
                "set" => Some(own[n].clone()),
                "preserve" => Some(claimed[n].into()),
                _ => None,
            })
            .collect();
        assert_eq!(
            forwarded(&seen(&kanaria, &ec2, CLAIMS)).to_vec(),
            expected,
            "{mode}"
        );
        let bare = match mode {
            "append" | "set" => own.map(Some),
            _ => [const { None }; 4],
        };
        assert_eq!(
            forwarded(&seen(&kanaria, &ec2, "")),
            bare,
            "{mode}, none sent"
        );
    }
}

#[test]
fn a_trusted_proxy_is_believed_in_every_mode() {
    let ec2 = Stub::start("ec2");
    for mode in ["append", "set", "preserve", "remove"] {
        let file = File::single(&ec2).server(&format!(
            "trusted_proxies = [\"127.0.0.0/8\"]\n\
             forwarded = {{ for = \"{mode}\", proto = \"{mode}\", port = \"{mode}\", host = \"{mode}\" }}"
        ));
        let kanaria = Kanaria::start(&file);
        let [client, proto, port, host] = forwarded(&seen(&kanaria, &ec2, CLAIMS));
        assert_eq!(client.as_deref(), Some("203.0.113.9, 127.0.0.1"), "{mode}");
        assert_eq!(proto.as_deref(), Some("https"), "{mode}");
        assert_eq!(port.as_deref(), Some("4443"), "{mode}");
        assert_eq!(host.as_deref(), Some("claimed.example"), "{mode}");
        assert_eq!(kanaria.log_of(1)[0]["client_ip"], "203.0.113.9");
    }
}

#[test]
fn by_default_strangers_cannot_claim_https_or_a_port() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let [client, proto, port, host] = forwarded(&seen(&kanaria, &ec2, CLAIMS));
    assert_eq!(client.as_deref(), Some("203.0.113.9, 127.0.0.1"));
    assert_eq!(proto.as_deref(), Some("http"));
    assert_eq!(port, Some(kanaria.public.port().to_string()));
    assert_eq!(host.as_deref(), Some("claimed.example"));
    assert_eq!(kanaria.log_of(1)[0]["client_ip"], "127.0.0.1");
}

#[test]
fn the_partition_header_is_ours_whatever_a_client_sends() {
    let ec2 = Stub::start("ec2");
    let file = File::single(&ec2).before(
        "[partitions.hosts]\n\"*.blog.example\" = \"blogs\"\n\"cdn.blog.example\" = \"images\"\n",
    );
    let kanaria = Kanaria::start(&file);
    let cases = [
        ("a.blog.example", "blogs"),
        ("deep.a.blog.example", "blogs"),
        ("CDN.blog.example.", "images"),
        ("www.example.com", "main"),
        ("blog.example", "main"),
    ];
    for (host, partition) in cases {
        let forged = format!(
            "Host: {host}\r\nX-Blog-Domain-Partition: forged\r\nx-blog-domain-partition: twice\r\n\
             Connection: X-Blog-Domain-Partition\r\n"
        );
        let seen = seen(&kanaria, &ec2, &forged);
        let values: Vec<_> = seen.head.all("x-blog-domain-partition").collect();
        assert_eq!(values, [partition], "{host}");
    }
    assert_eq!(kanaria.log_of(1)[0]["partition"], "blogs");
}

#[test]
fn a_target_is_told_pool_and_reason_and_forgeries_are_removed() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let forged = "kanaria-pool: ecs\r\nKanaria-Reason: flag\r\nConnection: kanaria-pool\r\n";
    let seen = seen(&kanaria, &ec2, forged);
    assert_eq!(seen.head.all("kanaria-pool").collect::<Vec<_>>(), ["ec2"]);
    assert_eq!(
        seen.head.all("kanaria-reason").collect::<Vec<_>>(),
        ["weight"]
    );
}

#[test]
fn the_host_arrives_as_it_was_sent() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    for host in [
        "www.example.com",
        "WWW.Example.com",
        "a.example:8443",
        "[::1]:80",
    ] {
        let seen = seen(&kanaria, &ec2, &format!("Host: {host}\r\n"));
        assert_eq!(seen.head.all("host").collect::<Vec<_>>(), [host]);
    }
}

#[test]
fn the_trace_id_is_made_or_extended_as_an_alb_does() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let made = seen(&kanaria, &ec2, "")
        .head
        .get("x-amzn-trace-id")
        .unwrap()
        .to_owned();
    let parts: Vec<_> = made
        .strip_prefix("Root=")
        .expect(&made)
        .split('-')
        .collect();
    assert_eq!(
        parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [1, 8, 24],
        "{made}"
    );
    let sent = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=1";
    let extended = seen(&kanaria, &ec2, &format!("X-Amzn-Trace-Id: {sent}\r\n"));
    let extended = extended.head.get("x-amzn-trace-id").unwrap().to_owned();
    let own = extended.strip_suffix(&format!(";{sent}")).expect(&extended);
    assert!(own.starts_with("Self=1-"), "{extended}");
    let again = seen(
        &kanaria,
        &ec2,
        &format!("X-Amzn-Trace-Id: Self=1-0-0;{sent}\r\n"),
    );
    let again = again.head.get("x-amzn-trace-id").unwrap().to_owned();
    assert_eq!(again.matches("Self=").count(), 1, "{again}");
    assert!(again.ends_with(sent), "{again}");
}

#[test]
fn a_valid_request_id_is_kept_and_another_replaced() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let kept = seen(&kanaria, &ec2, "X-Request-Id: order-17_a.b\r\n");
    assert_eq!(
        kept.head.all("x-request-id").collect::<Vec<_>>(),
        ["order-17_a.b"]
    );
    let long = "x".repeat(2000);
    for sent in ["", "two words", "quote\"", long.as_str()] {
        let seen = seen(&kanaria, &ec2, &format!("X-Request-Id: {sent}\r\n"));
        let arrived = seen.head.get("x-request-id").unwrap();
        assert!(
            !arrived.is_empty() && arrived != sent,
            "{sent:?}: {arrived:?}"
        );
    }
    let log = kanaria.log_of(5);
    assert_eq!(log[0]["request_id"], "order-17_a.b");
    assert!(log.iter().all(|line| line["request_id"].is_string()));
}

#[test]
fn hop_by_hop_fields_stay_on_their_hop() {
    let ec2 = Stub::with("ec2", |exchange| {
        let fields =
            "Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nX-Public: 2\r\n";
        exchange.answer("200 OK", fields, b"ec2")
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let fields = "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                  Proxy-Connection: keep-alive\r\nTE: gzip\r\nX-End: 2\r\n";
    let answer = kanaria.client().call(get("/", fields));
    let head = ec2.last().head;
    for name in ["x-hop", "keep-alive", "proxy-connection", "te"] {
        assert_eq!(head.get(name), None, "{name}");
    }
    assert_eq!(head.get("x-end"), Some("2"));
    assert_eq!(answer.head.get("x-private"), None);
    assert_eq!(answer.head.get("x-public"), Some("2"));
}

#[test]
fn a_client_cannot_strip_what_the_target_trusts_by_naming_it_in_connection() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let names = [
        "X-Forwarded-Proto",
        "X-Amzn-Trace-Id",
        "X-Request-Id",
        "kanaria-pool",
    ];
    for name in names {
        let answer = kanaria
            .client()
            .call(get("/", &format!("Connection: {name}\r\n")));
        if answer.status == 200 {
            assert!(ec2.last().head.get(name).is_some(), "{name}");
        } else {
            assert_eq!(answer.status, 400, "{name}");
        }
    }
}

#[test]
fn other_fields_arrive_byte_for_byte_in_both_directions() {
    let odd = "X-Odd: \u{e9}\u{ff}\tcaf\u{c3}\u{a9} \"q\" ;,=\r\nX-Twice: b\r\nX-Twice: a\r\nX-Empty:\r\n";
    let bytes: Vec<u8> = odd.chars().map(|c| c as u8).collect();
    let ec2 = Stub::with("ec2", |exchange| {
        exchange.body()?;
        let odd = exchange.head.get("x-odd").unwrap_or_default().to_owned();
        let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Back: ".to_vec();
        bytes.extend(odd.chars().map(|c| c as u8));
        bytes.extend(b"\r\nX-Twice: b\r\nX-Twice: a\r\n\r\n");
        exchange.wire.send(bytes)?;
        Ok(crate::support::After::Keep)
    });
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut message = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n".to_vec();
    message.extend(&bytes);
    message.extend(b"\r\n");
    let answer = kanaria.client().call(message);
    let head = ec2.last().head;
    assert_eq!(head.get("x-odd"), odd[7..].split("\r\n").next());
    assert_eq!(head.all("x-twice").collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(head.get("x-empty"), Some(""));
    assert_eq!(answer.head.get("x-back"), head.get("x-odd"));
    assert_eq!(answer.head.all("x-twice").collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn target_and_method_arrive_as_sent() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let mut client = kanaria.client();
    for path in [
        "/",
        "/a/../b//c",
        "/%2e%2e/%C3%A9?q=%20&q=+&&",
        "/?",
        "/;p=1?a=/b/../c",
    ] {
        for method in ["GET", "DELETE", "OPTIONS", "PATCH", "REPORT"] {
            assert_eq!(
                client.call(request(method, path, "", "")).status,
                200,
                "{method} {path}"
            );
            assert_eq!(ec2.last().head.line, format!("{method} {path} HTTP/1.1"));
        }
    }
}

#[test]
fn a_host_is_preserved_or_has_the_port_of_the_listener_as_an_alb_gives_it() {
    let ec2 = Stub::start("ec2");
    let preserving = Kanaria::start(&File::single(&ec2));
    let alb = Kanaria::start(&File::single(&ec2).server("host_header = \"alb\""));
    let port = alb.public.port();
    for (sent, expect) in [
        ("a.example", format!("a.example:{port}")),
        ("a.example:80", format!("a.example:{port}")),
        ("[::1]", format!("[::1]:{port}")),
    ] {
        let host = format!("Host: {sent}\r\n");
        assert_eq!(seen(&preserving, &ec2, &host).head.get("host"), Some(sent));
        let seen = seen(&alb, &ec2, &host);
        assert_eq!(seen.head.get("host"), Some(&*expect));
    }
}

#[test]
fn a_traceparent_passes_as_it_came_and_none_is_made_up() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let fields = format!("traceparent: {trace}\r\ntracestate: a=1,b=2\r\n");
    let with = seen(&kanaria, &ec2, &fields);
    let both = (with.head.get("traceparent"), with.head.get("tracestate"));
    assert_eq!(both, (Some(trace), Some("a=1,b=2")));
    // The trace of a load balancer is another thing, and there is always one.
    assert!(
        with.head
            .get("x-amzn-trace-id")
            .is_some_and(|id| id.starts_with("Root=1-"))
    );
    assert_eq!(seen(&kanaria, &ec2, "").head.get("traceparent"), None);
}
