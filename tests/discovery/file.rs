//! A watched file of targets.

use std::fs;

use super::{discovery, found, lines, reaches, targets, until_targets};
use crate::support::{Counts, Kanaria, Load, Stub, get, sized, until, volley};

const KEYS: &str = "file = \"ecs.json\"";

pub(crate) fn list(stubs: &[&Stub]) -> String {
    let addresses: Vec<_> = stubs
        .iter()
        .map(|stub| format!("\"{}\"", stub.address))
        .collect();
    format!("[{{\"targets\": [{}]}}]", addresses.join(", "))
}

/// Replaces the file as tools should: whole, by a rename.
pub(crate) fn replace(kanaria: &Kanaria, text: &str) {
    fs::write(kanaria.path("ecs.json.new"), text).unwrap();
    fs::rename(kanaria.path("ecs.json.new"), kanaria.path("ecs.json")).unwrap();
}

#[test]
fn a_file_is_followed_and_nonsense_in_it_takes_nobody_away() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = (Stub::start("blue"), Stub::start("green"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ecs.json"), list(&[&blue])).unwrap();
    let kanaria = Kanaria::start_in(folder, &found(&ec2, &[], KEYS, "ec2 = 50, ecs = 50"));
    assert_eq!(targets(&kanaria), [blue.address]);
    let load = Load::start(kanaria.public, 4, sized(100, 1000));
    let half = &list(&[&green])[..20];
    for (nonsense, word) in [
        (half, "EOF"),
        ("", "it is empty"),
        ("[{\"targets\": [\"web:80\"]}]", "is a host name"),
    ] {
        fs::write(kanaria.path("ecs.json"), nonsense).unwrap();
        until("it is said", || {
            (lines(&kanaria, &["WARN", word]) == 1).then_some(())
        });
        let seen = blue.count();
        load.pass(40);
        assert!(blue.count() > seen, "{word}");
        replace(&kanaria, &list(&[&blue]));
        until("it is read again", || {
            discovery(&kanaria)["failure"].is_null().then_some(())
        });
    }
    fs::remove_file(kanaria.path("ecs.json")).unwrap();
    until("it is said", || {
        (lines(&kanaria, &["WARN", "no such file"]) == 1).then_some(())
    });
    load.pass(40);
    assert_eq!(targets(&kanaria), [blue.address]);
    fs::write(kanaria.path("ecs.json"), list(&[&green])).unwrap();
    until_targets(&kanaria, &[green.address]);
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!("{} requests, {failed} failed, bound 0", shots.len());
    assert_eq!(failed, 0);
}

#[test]
fn an_empty_list_empties_the_pool_and_labels_weigh() {
    let ec2 = Stub::start("ec2");
    let (blue, green) = (Stub::start("blue"), Stub::start("green"));
    let kanaria = Kanaria::start(&found(&ec2, &[], KEYS, "ec2 = 0, ecs = 1"));
    assert_eq!(lines(&kanaria, &["ERROR", "ecs.json", "no such file"]), 1);
    assert!(
        reaches(&kanaria, &ec2, 5),
        "a canary without targets is served by stable"
    );
    let weighted = format!(
        "[{{\"targets\": [\"{}\"], \"labels\": {{\"weight\": \"4\", \"az\": \"a\"}}}}, {{\"targets\": [\"{}\"]}}]",
        blue.address, green.address
    );
    replace(&kanaria, &weighted);
    until("both are there", || {
        (targets(&kanaria).len() == 2).then_some(())
    });
    let answers = volley(kanaria.public, 500, 4, |_| get("/", ""));
    let counts: Counts = answers.iter().map(|answer| answer.stub()).collect();
    println!("{counts}at 4:1");
    assert_eq!((counts.of("blue"), counts.of("green")), (400, 100));
    replace(&kanaria, "[]");
    until_targets(&kanaria, &[]);
    assert!(reaches(&kanaria, &ec2, 5));
    assert_eq!(lines(&kanaria, &["WARN", "says there are no targets"]), 1);
    assert!(discovery(&kanaria)["failure"].is_null());
}
