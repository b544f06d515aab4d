//! `watch`: a file that changes is taken by itself, however it is replaced, and a broken one changes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{File, Kanaria, Load, Stub, get, sized, until, within};

/// A file whose route takes everything, or one host only.
fn file(ec2: &Stub, host: Option<&str>) -> String {
    let file = File::single(ec2).server("watch = true");
    match host {
        Some(host) => file
            .route(&format!("match = {{ host = [\"{host}\"] }}"))
            .text(),
        None => file.text(),
    }
}

/// The status of a request to `host`.
fn status(kanaria: &Kanaria, host: &str) -> u16 {
    let request = get("/", &format!("Host: {host}\r\n"));
    kanaria.client().call(request).status
}

#[track_caller]
fn takes(kanaria: &Kanaria, host: &str) {
    let began = Instant::now();
    until("the new file is in force", || {
        (status(kanaria, host) == 200 && status(kanaria, "other.example") == 404).then_some(())
    });
    println!("in force {:?} after it was written", began.elapsed());
}

/// Puts `text` in the place of the file as an editor or a deploy does: whole, by a rename.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn a_file_written_or_renamed_into_place_is_taken_by_itself() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kanaria.toml"), file(&ec2, None)).unwrap();
    let kanaria = Kanaria::start_there(folder, &[]);
    kanaria.rewrite(&file(&ec2, Some("a.example")));
    takes(&kanaria, "a.example");
    replace(
        &kanaria.path("kanaria.toml"),
        &file(&ec2, Some("b.example")),
    );
    takes(&kanaria, "b.example");
    let history = kanaria.run(&["history"]).stdout;
    assert!(history.contains("the file changed"), "{history}");
}

#[test]
fn a_config_map_that_is_swapped_is_taken_by_itself() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, host) in [("..1", None), ("..2", Some("a.example"))] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("kanaria.toml"), file(&ec2, host)).unwrap();
    }
    symlink("..1", path("..data")).unwrap();
    symlink("..data/kanaria.toml", path("kanaria.toml")).unwrap();
    let kanaria = Kanaria::start_there(folder, &[]);
    symlink("..2", kanaria.path("..new")).unwrap();
    fs::rename(kanaria.path("..new"), kanaria.path("..data")).unwrap();
    takes(&kanaria, "a.example");
}

#[test]
fn a_broken_file_changes_nothing_and_is_reported_once_and_the_next_good_one_counts() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kanaria.toml"), file(&ec2, None)).unwrap();
    let kanaria = Kanaria::start_there(folder, &[]);
    let broken = file(&ec2, None).replace("version = 1\n", "version = 1\nnonsense = 1\n");
    replace(&kanaria.path("kanaria.toml"), &broken);
    let warned = |text: &str| {
        let status = kanaria.admin.get("/api/v1/status");
        status["warnings"].to_string().contains(text)
    };
    until("the status says so", || warned("nonsense").then_some(()));
    assert_eq!(status(&kanaria, "other.example"), 200);
    fs::remove_file(kanaria.path("kanaria.toml")).unwrap();
    until("the status says so", || {
        warned("no such file").then_some(())
    });
    assert_eq!(status(&kanaria, "other.example"), 200);
    replace(
        &kanaria.path("kanaria.toml"),
        &file(&ec2, Some("a.example")),
    );
    takes(&kanaria, "a.example");
    let said = kanaria.stderr();
    assert_eq!(said.matches("reload refused").count(), 2, "{said}");
}

#[test]
fn without_watch_a_file_waits_to_be_asked_for() {
    let ec2 = Stub::start("ec2");
    let kanaria = Kanaria::start(&File::single(&ec2));
    let narrow = File::single(&ec2).route("match = { host = [\"a.example\"] }");
    kanaria.rewrite(&narrow.text());
    let taken = within(Duration::from_millis(1200), || {
        (status(&kanaria, "other.example") == 404).then_some(())
    });
    assert!(taken.is_none());
}

#[test]
fn files_that_change_under_load_lose_no_request() {
    let ec2 = Stub::start("ec2");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("kanaria.toml"), file(&ec2, None)).unwrap();
    let kanaria = Kanaria::start_there(folder, &[]);
    let load = Load::start(kanaria.public, 4, 200);
    let n = sized(3, 20);
    for round in 0..n {
        let changed =
            file(&ec2, None) + &format!("# {round}\n[partitions]\ndefault = \"p{round}\"\n");
        replace(&kanaria.path("kanaria.toml"), &changed);
        until("the new file is in force", || {
            let revision = kanaria.admin.get("/api/v1/status")["revision"].as_u64()?;
            (revision >= round as u64 + 2).then_some(())
        });
    }
    let shots = load.stop();
    let failed = shots.iter().filter(|shot| shot.status != 200).count();
    println!(
        "{n} files, {} requests, {failed} failed, bound 0",
        shots.len()
    );
    assert_eq!(failed, 0);
}
