//! Erasing a person, or a record, with all that was made of it; on every store.

use serde_json::{Value, json};
use weft_memory::Settings;

use crate::{desk::Desk, forgetting::planned, stores};

const WHO: &str = "Zacharias Quellenbrunn";

fn everyone() -> Value {
    json!({"subject": WHO, "mode": "erase", "everyone": true})
}

#[tokio::test]
async fn who_has_the_role_erases_a_person_from_the_private_parts_of_all_callers() {
    for settings in stores::all() {
        let desk = Desk::of(settings);
        let (ada, bob) = (desk.by("ada", "red", &["writer"]), desk.by("b/o%b", "red", &[]));
        let (admin, other) = (desk.by("root", "red", &["admin"]), desk.by("ada", "blue", &[]));
        let private = json!({"text": (format!("{WHO} drinks tea")), "visibility": "private"});
        for desk in [&ada, &bob, &admin, &other] {
            desk.store(private.clone()).await;
        }
        ada.store(json!({"id": "zacharias-quellenbrunn:mail", "text": "Ask him about mail"})).await;
        bob.store(json!({"text": "Bob drinks coffee", "visibility": "private"})).await;
        assert_eq!(ada.code("forget", everyone()).await, "refused");
        let shown = admin.ok("forget", everyone()).await;
        assert_eq!(shown["plan"]["effects"]["count"], 4, "{shown}");
        let first = shown["plan"]["effects"]["first"].to_string();
        assert_eq!(first.matches("private to another caller").count(), 2, "{first}");
        assert_eq!(first.matches("drinks tea").count(), 1, "{first}");
        let done = planned(&admin, "forget", everyone()).await;
        assert_eq!((&done["records"], &done["verified"]), (&json!(4), &json!(true)), "{done}");
        for desk in [&ada, &bob, &admin] {
            let left = desk.ok("list", json!({"all": true})).await;
            assert!(!left.to_string().to_lowercase().contains("quellenbrunn"), "{left}");
        }
        assert_eq!(bob.texts(json!({"query": "who drinks coffee"})).await, ["Bob drinks coffee"]);
        assert_eq!(other.texts(json!({"query": "who drinks tea"})).await.len(), 1, "another namespace is left alone");
    }
}

#[tokio::test]
async fn only_a_subject_is_erased_everywhere_and_only_by_roles_that_the_operator_names() {
    let desk = Desk::of(Settings { erase_roles: vec!["officer".to_owned()], ..Settings::default() });
    let (admin, officer) = (desk.by("root", "red", &["admin"]), desk.by("olga", "red", &["officer"]));
    assert_eq!(admin.code("forget", everyone()).await, "refused");
    for arguments in [
        json!({"subject": WHO, "everyone": true}),
        json!({"filter": {"text": "tea"}, "mode": "erase", "everyone": true}),
        json!({"ids": ["f-1"], "mode": "erase", "everyone": true}),
    ] {
        assert_eq!(officer.code("forget", arguments.clone()).await, "invalid_arguments", "{arguments}");
    }
    assert_eq!(officer.ok("forget", everyone()).await["plan"]["effects"]["count"], 0);
}

#[tokio::test]
async fn what_was_merged_goes_with_what_it_became_and_the_other_way_round() {
    for settings in stores::all() {
        for place in 0..2 {
            let desk = Desk::of(settings.clone());
            let desk = desk.by("ada", &format!("space{place}"), &[]);
            let keep = desk.store(json!({"text": "Deploys happen on Thursday mornings", "pinned": true})).await;
            let same = desk.store("deploy happens on Thursday mornings").await;
            let other = desk.store("Tests run at night").await;
            planned(&desk, "consolidate", json!({"threshold": 0.8})).await;
            let id = if place == 0 { &keep } else { &same };
            let done = planned(&desk, "forget", json!({"ids": [id], "mode": "erase"})).await;
            assert_eq!((&done["records"], &done["verified"]), (&json!(2), &json!(true)), "{done}");
            let left = desk.ok("list", json!({"all": true})).await;
            let kinds: Vec<&Value> = left["records"].as_array().unwrap().iter().map(|own| &own["kind"]).collect();
            assert_eq!(kinds, ["erasure", "fact"], "{left}");
            assert_eq!(left["records"][1]["id"], json!(other));
        }
    }
}
