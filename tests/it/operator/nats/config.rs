//! Wrong or contradicting options of NATS.

use crate::world::World;
use crate::world::nats_options::{file, migrate};

/// Settings, the name in the fault, and a part of the remedy.
type Case<'t> = (&'t [(&'t str, &'t str)], &'t str, &'t str);

/// The faults that a `migrate` with these settings reports.
async fn faults(world: &World, env: &[(&str, &str)]) -> Vec<String> {
    let (migrated, said) = migrate(world, env).await;
    assert!(!migrated && !said.contains("hunter2"), "{env:?}: {said}");
    let lines = said.lines().filter_map(|line| line.strip_prefix("  "));
    lines.map(str::to_owned).collect()
}

/// Checks that each combination of settings is one fault, which names them and the remedy.
async fn each_is_one_fault(table: &[Case<'_>]) {
    let world = World::builder().workers(0).start().await;
    for (env, named, way_out) in table {
        let faults = faults(&world, env).await;
        let told = faults.len() == 1 && faults[0].starts_with(named) && faults[0].contains(way_out);
        assert!(told, "{env:?}: {faults:?}");
    }
}

const USER: (&str, &str) = ("NATS_USER", "u");
const PASSWORD: (&str, &str) = ("NATS_PASSWORD", "hunter2");
const TOKEN: (&str, &str) = ("NATS_TOKEN", "hunter2");

#[tokio::test]
async fn m16_options_that_exclude_each_other_are_both_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let seed = nkeys::KeyPair::new_user().seed().expect("a seed");
    let seed = file(&folder, "seed", &seed);
    let domain = [
        ("NATS_JETSTREAM_DOMAIN", "hub"),
        ("NATS_JETSTREAM_API_PREFIX", "JS.hub.API"),
    ];
    let one_user = ("NATS_URL", "nats://u:hunter2@h");
    let two_users = ("NATS_URL", "nats://u:hunter2@h,nats://v:hunter2@h");
    let named = "NATS_JETSTREAM_DOMAIN, NATS_JETSTREAM_API_PREFIX: both are set";
    let by_token = "NATS_USER, NATS_TOKEN: each of them is a way to log in";
    let by_seed = "NATS_USER, NATS_NKEY_SEED_FILE: each of them is a way to log in";
    let by_url = "NATS_URL, NATS_TOKEN: each of them is a way to log in";
    let differ = "NATS_URL: the servers have different users";
    each_is_one_fault(&[
        (&domain, named, "unset the other"),
        (&[USER, PASSWORD, TOKEN], by_token, "unset the others"),
        (
            &[USER, PASSWORD, ("NATS_NKEY_SEED_FILE", &seed)],
            by_seed,
            "unset the others",
        ),
        (&[one_user, TOKEN], by_url, "unset the others"),
        (
            &[two_users],
            differ,
            "NATS_USER and NATS_PASSWORD hold for all of them",
        ),
    ])
    .await;
}

#[tokio::test]
async fn m16_half_of_a_login_names_the_other_half() {
    let key = [("NATS_CLIENT_KEY_FILE", "/no/such/file")];
    let named = "NATS_CLIENT_CERTIFICATE_FILE, NATS_CLIENT_KEY_FILE: only NATS_CLIENT_KEY_FILE is set";
    let of_user = "NATS_USER, NATS_PASSWORD: only NATS_USER is set";
    let of_password = "NATS_USER, NATS_PASSWORD: only the password is set";
    each_is_one_fault(&[
        (&[USER], of_user, "NATS_PASSWORD_FILE"),
        (&[PASSWORD], of_password, "both"),
        (&key, named, "both, the certificate and its key"),
    ])
    .await;
}

#[tokio::test]
async fn m16_options_of_nats_that_are_wrong_are_told() {
    let world = World::builder().workers(0).start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (empty, other) = (file(&folder, "empty", ""), file(&folder, "other", "hunter2"));
    for (setting, value, expected) in [
        ("NATS_JETSTREAM_DOMAIN", "a.b", "the name of a JetStream domain"),
        ("NATS_JETSTREAM_API_PREFIX", "a b", "the beginning of a subject"),
        ("NATS_INBOX_PREFIX", "a.*.b", "the beginning of a subject"),
        ("NATS_TLS", "maybe", "one of auto, require, first"),
        (
            "NATS_CA_FILE",
            "/no/such/file",
            "a file of certificate authorities (PEM); No such file",
        ),
        ("NATS_CA_FILE", &empty, "the file is empty"),
        (
            "NATS_NKEY_SEED_FILE",
            "/no/such/file",
            "seed of an nkey of a user (SU…); No such file",
        ),
        ("NATS_NKEY_SEED_FILE", &empty, "the file is empty"),
        ("NATS_NKEY_SEED_FILE", &other, "the file holds no seed of a user"),
        (
            "NATS_CREDENTIALS_FILE",
            &other,
            "a credentials file (.creds); the file holds no JWT",
        ),
    ] {
        let faults = faults(&world, &[(setting, value)]).await;
        let told = faults.len() == 1 && faults[0].starts_with(&format!("{setting}: got \"{value}\""));
        assert!(told && faults[0].contains(expected), "{faults:?}");
    }
}
