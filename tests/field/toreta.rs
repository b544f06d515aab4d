//! TORETA: weights in DNS, several services, logging.

use serde_json::json;

use super::pair;
use crate::support::{File, Kanaria, get, until, volley};

/// Both pools stay health-checked, also at weight 0.
#[test]
fn field_toreta_1() {
    let (ec2, ecs) = pair();
    let check = "health_check = { path = \"/healthz\", interval = \"100ms\", timeout = \"1s\" }";
    let file = File::split(&ec2, &ecs, "ec2 = 1, ecs = 0").pool_keys("ecs", check);
    let kanaria = Kanaria::start(&file);
    let up = || kanaria.admin.metric("kanaria_target_up", &["pool=\"ecs\""]);
    until("the canary is healthy", || (up() == 1.0).then_some(()));
    ecs.die();
    until("its death is noticed", || (up() == 0.0).then_some(()));
    ecs.revive();
    until("its return is noticed", || (up() == 1.0).then_some(()));
    assert_eq!(ecs.count(), 0);
}

/// Services move one by one: rolling back one route leaves the other alone.
#[test]
fn field_toreta_5() {
    let (ec2, ecs) = pair();
    let api = "[[routes]]\nname = \"api\"\nmatch = { path = [\"/api/*\"] }\nstable = \"ec2\"\n\
               weights = { ec2 = 40, ecs = 60 }\n";
    let file = File::split(&ec2, &ecs, "ec2 = 0, ecs = 1").before(api);
    let kanaria = Kanaria::start(&file);
    let before = kanaria.admin.get("/api/v1/routes/api");
    kanaria
        .admin
        .post("/api/v1/routes/web/rollback", &json!({}));
    let after = kanaria.admin.get("/api/v1/routes/api");
    for key in ["weights", "owner", "state", "stable"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    assert_eq!(kanaria.client().call(get("/", "")).stub(), "ec2");
    volley(kanaria.public, 100, 2, |_| get("/api/x", ""));
    assert!(ecs.count() > 30, "the api still splits");
}
