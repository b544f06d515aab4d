//! The admin API over TLS, and the command line that asks it.

use std::fs;

use tempfile::TempDir;

use super::shown;
use crate::support::tls::{Authority, Wanted, put};
use crate::support::{File, Kanaria, Outcome, Stub, command, until};

/// A folder with the pair `admin` of an authority, which is in `ca.pem`.
fn folder(authority: &Authority) -> TempDir {
    let folder = TempDir::new().unwrap();
    let names = Wanted::hosts(&["127.0.0.1", "admin.test"]);
    authority.issue(folder.path(), "admin", names);
    put(&folder.path().join("ca.pem"), &authority.pem());
    folder
}

/// Runs a verb against the admin API over https.
fn run(kanaria: &Kanaria, arguments: &[&str]) -> Outcome {
    let url = format!("https://{}", kanaria.admin.address);
    let mut all = vec!["status", "--admin", &url];
    all.extend(arguments);
    command(&kanaria.path(""), &all)
}

#[test]
fn the_command_line_speaks_https_to_a_router_that_it_can_believe() {
    let (authority, ec2) = (Authority::new("admins"), Stub::start("ec2"));
    let file = File::single(&ec2).admin("tls = { cert = \"admin.crt\", key = \"admin.key\" }");
    let kanaria = Kanaria::start_guarded(folder(&authority), &file);
    let outcome = run(&kanaria, &["--admin-ca", "ca.pem"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains("web"), "{outcome:?}");
    let outcome = run(&kanaria, &[]);
    assert_eq!(outcome.code, Some(69), "{outcome:?}");
    assert!(outcome.stderr.contains("UnknownIssuer"), "{outcome:?}");
    let outcome = run(&kanaria, &["--admin-ca", "nothing.pem"]);
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    // In clear text there is nobody.
    let url = format!("http://{}", kanaria.admin.address);
    let outcome = command(&kanaria.path(""), &["status", "--admin", &url]);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn who_is_not_vouched_for_is_not_heard_where_the_file_names_an_authority() {
    let (authority, ec2) = (Authority::new("admins"), Stub::start("ec2"));
    let operators = Authority::new("operators");
    let folder = folder(&authority);
    operators.issue(folder.path(), "me", Wanted::hosts(&["me"]));
    authority.issue(folder.path(), "stranger", Wanted::hosts(&["stranger"]));
    put(&folder.path().join("operators.pem"), &operators.pem());
    let tls = "tls = { cert = \"admin.crt\", key = \"admin.key\", client_ca = \"operators.pem\" }";
    let kanaria = Kanaria::start_guarded(folder, &File::single(&ec2).admin(tls));
    let showing = |name: &str| {
        let (cert, key) = (format!("{name}.crt"), format!("{name}.key"));
        run(
            &kanaria,
            &[
                "--admin-ca",
                "ca.pem",
                "--admin-cert",
                &cert,
                "--admin-key",
                &key,
            ],
        )
    };
    let outcome = showing("me");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_ne!(showing("stranger").code, Some(0));
    let outcome = run(&kanaria, &["--admin-ca", "ca.pem"]);
    assert_ne!(outcome.code, Some(0), "{outcome:?}");
    let outcome = run(
        &kanaria,
        &["--admin-ca", "ca.pem", "--admin-cert", "me.crt"],
    );
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    assert!(outcome.stderr.contains("--admin-key"), "{outcome:?}");
}

#[test]
fn its_certificate_is_renewed_like_any_other_and_a_broken_one_is_refused_at_the_start() {
    let (authority, ec2) = (Authority::new("admins"), Stub::start("ec2"));
    let file = File::single(&ec2).admin("tls = { cert = \"admin.crt\", key = \"admin.key\" }");
    let kanaria = Kanaria::start_guarded(folder(&authority), &file);
    let hello = authority.hello("admin.test");
    let before = shown(&hello, kanaria.admin.address);
    let folder = kanaria.path("");
    authority.issue(
        &folder,
        "admin",
        Wanted::hosts(&["127.0.0.1", "admin.test"]),
    );
    until("the renewed certificate is shown", || {
        Some(shown(&hello, kanaria.admin.address)).filter(|shown| *shown != before)
    });
    fs::write(folder.join("admin.key"), "").unwrap();
    let outcome = command(&folder, &["check", "kanaria.toml"]);
    assert_eq!(outcome.code, Some(78), "{outcome:?}");
    let place = "admin.tls.cert: `admin.key` has no private key in it";
    assert!(outcome.stderr.contains(place), "{outcome:?}");
}
