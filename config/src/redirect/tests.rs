//! Where clients are sent, through one `check`.

use super::*;
use crate::testing::structure;

/// Compiles `redirect = { keys }` and answers a request for `url`.
#[track_caller]
fn location(keys: &str, url: &str) -> Result<String, NoLocation> {
    let route = format!("[[routes]]\nname = 'r'\nredirect = {{ {keys} }}");
    let structure = structure(&route).unwrap();
    let crate::action::Action::Redirect(redirect) = &structure.routes[0].action else {
        panic!("no redirect");
    };
    let (protocol, rest) = url.split_once("://").unwrap();
    let slash = rest.find('/').unwrap();
    let (authority, target) = rest.split_at(slash);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    redirect.location(&Asked {
        secure: protocol == "https",
        authority,
        port: None,
        path,
        query,
    })
}

#[track_caller]
fn check(keys: &str, url: &str, expect: &str) {
    assert_eq!(location(keys, url).as_deref(), Ok(expect), "{keys} {url}");
}

#[test]
fn what_is_not_named_stays_as_the_client_asked_for_it() {
    check(
        "host = 'b.example'",
        "http://a.example/x/y?q=1",
        "http://b.example/x/y?q=1",
    );
    check(
        "host = 'b.example'",
        "https://a.example/",
        "https://b.example/",
    );
    check(
        "host = 'b.example'",
        "http://a.example:8080/x",
        "http://b.example:8080/x",
    );
    check(
        "path = '/new'",
        "http://a.example/old?q=1",
        "http://a.example/new?q=1",
    );
    check(
        "port = 8443",
        "http://a.example:80/",
        "http://a.example:8443/",
    );
    check(
        "port = '8443'",
        "http://a.example/",
        "http://a.example:8443/",
    );
    check(
        "host = 'b.example', query = ''",
        "http://a.example/x?q",
        "http://b.example/x",
    );
}

#[test]
fn keywords_stand_for_what_was_asked_for() {
    let url = "http://a.example:81/x/y?q=1&r";
    check(
        "host = 'www.#{host}'",
        url,
        "http://www.a.example:81/x/y?q=1&r",
    );
    check(
        "path = '/#{host}/#{port}/#{protocol}/#{path}'",
        url,
        "http://a.example:81/a.example/81/http/x/y?q=1&r",
    );
    check(
        "path = '/go', query = 'to=#{path}&#{query}'",
        url,
        "http://a.example:81/go?to=x/y&q=1&r",
    );
    check("path = '/a#{path}'", url, "http://a.example:81/ax/y?q=1&r");
    check(
        "path = '/z', query = '#{protocol}#{host}#{port}'",
        "https://a.example/",
        "https://a.example/z?httpsa.example443",
    );
    check(
        "protocol = 'https', port = '#{port}'",
        url,
        "https://a.example:81/x/y?q=1&r",
    );
    check(
        "host = 'b.example'",
        "http://[::1]:81/",
        "http://b.example:81/",
    );
    check("path = '/new'", "http://[::1]/", "http://[::1]/new");
}

#[test]
fn https_is_never_left_and_default_ports_are_not_shown() {
    check(
        "protocol = 'https'",
        "http://a.example:8080/x",
        "https://a.example/x",
    );
    check(
        "protocol = 'HTTPS', port = 443",
        "http://a.example/x",
        "https://a.example/x",
    );
    check(
        "protocol = 'https'",
        "https://a.example:8443/x",
        "https://a.example:8443/x",
    );
    check(
        "protocol = 'http', path = '/y'",
        "https://a.example/x",
        "https://a.example/y",
    );
    check(
        "protocol = 'http', port = 80",
        "https://a.example/x",
        "https://a.example:80/x",
    );
    check(
        "protocol = '#{protocol}', path = '/y'",
        "https://a.example/x",
        "https://a.example/y",
    );
}

#[test]
fn an_address_is_visible_ascii_and_at_most_8_kib() {
    check(
        "host = 'b.example'",
        "http://a/\u{e9}?\u{3042}",
        "http://b.example/%C3%A9?%E3%81%82",
    );
    let fits = "x".repeat(LONGEST - "http://b.example/".len());
    let url = format!("http://a/{fits}");
    check(
        "host = 'b.example'",
        &url,
        &format!("http://b.example/{fits}"),
    );
    let told = location("host = 'b.example'", &format!("{url}x"));
    assert_eq!(told, Err(NoLocation::TooLong));
}

#[test]
fn a_request_without_a_host_has_no_address_unless_the_file_names_one() {
    assert_eq!(location("path = '/x'", "http:///"), Err(NoLocation::NoHost));
    check("host = 'b.example'", "http:///", "http://b.example/");
}

#[test]
fn who_may_say_it_says_which_port_was_used() {
    let structure = structure("[[routes]]\nname = 'r'\nredirect = { path = '/x' }").unwrap();
    let crate::action::Action::Redirect(redirect) = &structure.routes[0].action else {
        panic!("no redirect");
    };
    let asked = Asked {
        secure: true,
        authority: "a.example",
        port: Some(8443),
        path: "/",
        query: "",
    };
    assert_eq!(
        redirect.location(&asked).unwrap(),
        "https://a.example:8443/x"
    );
    assert_eq!(redirect.shown(), "#{protocol}://#{host}/x?#{query}");
}
