//! Tests of the edit of a stream: changed and unchanged fields.

use super::*;

fn limits(max_bytes: i64, days: u64, replicas: i64) -> Limits {
    Limits {
        replicas: Some(replicas),
        max_bytes: Some(max_bytes),
        max_age: Some(Duration::from_hours(24 * days)),
        narrow: false,
    }
}

#[test]
fn an_edit_of_what_is_in_order_changes_nothing() {
    for name in [APP_EVENTS, AUTH0_LOGS, ROLE_CHANGES] {
        let made = new(name, limits(100, 30, 1));
        assert!(differences(&made, name).is_empty(), "{made:?}");
        let mut edited = made.clone();
        assert!(edit(&mut edited, name, limits(100, 30, 1)).is_empty());
        assert!(edit(&mut edited, name, Limits::default()).is_empty());
        assert_eq!(edited, made);
        assert!(!denies_purge(&made));
        assert_eq!(has_transform(&made), name == APP_EVENTS);
    }
}

#[test]
fn what_an_operator_widened_stays_unless_told() {
    let mut there = new(APP_EVENTS, limits(100, 90, 3));
    there.insert("compression".to_owned(), "s2".into());
    there.insert("of_a_later_release".to_owned(), json!({"any": 1}));
    let before = there.clone();
    let left = edit(&mut there, APP_EVENTS, limits(50, 30, 1));
    assert_eq!(there, before);
    assert_eq!(left.len(), 3, "{left:?}");
    edit(&mut there, APP_EVENTS, limits(200, 30, 5));
    assert_eq!((int(&there, "max_bytes"), int(&there, "num_replicas")), (200, 5));
    assert_eq!(there["max_age"], before["max_age"]);
    let narrow = Limits {
        narrow: true,
        ..limits(50, 30, 1)
    };
    assert!(edit(&mut there, APP_EVENTS, narrow).is_empty());
    assert_eq!((int(&there, "max_bytes"), int(&there, "num_replicas")), (50, 1));
    assert_eq!(there["of_a_later_release"], json!({"any": 1}));
}

#[test]
fn no_limit_is_the_widest() {
    let mut there = new(APP_EVENTS, limits(-1, 0, 1));
    assert_eq!(edit(&mut there, APP_EVENTS, limits(50, 30, 1)).len(), 2);
    assert_eq!((int(&there, "max_bytes"), int(&there, "max_age")), (-1, 0));
}

#[test]
fn guards_are_brought_in_order_and_nothing_else() {
    let mut there = new(APP_EVENTS, limits(100, 30, 1));
    let wanted = there.clone();
    for (field, value) in [
        ("subjects", json!(["plays.*", "extra"])),
        ("discard", "old".into()),
        ("deny_delete", false.into()),
        ("max_msgs_per_subject", 5.into()),
        ("no_ack", true.into()),
        ("max_msg_size", 512.into()),
        ("allow_rollup_hdrs", true.into()),
        ("duplicate_window", 1.into()),
        ("subject_transform", json!({"src": "*.*", "dest": "$1.$2"})),
    ] {
        there.insert(field.to_owned(), value);
    }
    assert_eq!(differences(&there, APP_EVENTS).len(), 9);
    edit(&mut there, APP_EVENTS, Limits::default());
    assert!(differences(&there, APP_EVENTS).is_empty());
    assert_eq!(there["subjects"], json!(["plays.*", "extra", "playlists.*"]));
    assert_eq!(there["duplicate_window"], wanted["duplicate_window"]);
}
