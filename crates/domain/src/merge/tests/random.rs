//! A tenant where two clients write at random: in the end stands what each of them meant.

use super::*;

/// The next action at the tenant.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// We read, and restore by the records that have arrived; one bit per record.
    WeRead { records: u32 },
    /// We write the plan of the last read, with the managed role toggled or not.
    WeWrite { toggles: bool },
    /// The other client reads.
    TheyRead,
    /// The other client writes its last read with this role toggled.
    TheyWrite(usize),
}

const FOREIGN: [&str; 4] = ["a", "b", "c", "d"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(0), Just(u32::MAX), any::<u32>()].prop_map(|records| Step::WeRead { records }),
        any::<bool>().prop_map(|toggles| Step::WeWrite { toggles }),
        Just(Step::TheyRead),
        (0..FOREIGN.len()).prop_map(Step::TheyWrite),
    ]
}

fn toggle(roles: &mut Vec<String>, role: &str) {
    if roles.iter().any(|one| one == role) {
        roles.retain(|one| one != role);
    } else {
        roles.push(role.to_owned());
    }
}

/// Whether the lists differ in one role of other clients.
fn is_toggle(before: &[String], after: &[String]) -> bool {
    let before: BTreeSet<&String> = before.iter().collect();
    let after: BTreeSet<&String> = after.iter().collect();
    let mut changed = before.symmetric_difference(&after);
    changed.next().is_some_and(|role| role.as_str() != "editor") && changed.next().is_none()
}

/// A tenant with one user, our client, and one other client with a known intention.
struct Tenant {
    now: State,
    ours: Vec<OurWrite>,
    theirs: Vec<State>,
    we_read: Option<(State, Resolution)>,
    they_read: Option<Vec<String>>,
    intended: BTreeSet<String>,
    /// States of the profile since the other client's read.
    since_they_read: Vec<Vec<String>>,
    /// The other client's write is an equally small change from a version newer than its read.
    ambiguous: bool,
}

impl Tenant {
    fn new() -> Self {
        Self {
            now: at(0, "a b"),
            ours: vec![],
            theirs: vec![],
            we_read: None,
            they_read: None,
            intended: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
            since_they_read: vec![],
            ambiguous: false,
        }
    }

    fn become_(&mut self, roles: Vec<String>) {
        self.since_they_read.push(roles.clone());
        self.now = State {
            at: self.now.at + Duration::milliseconds(7),
            roles,
        };
    }

    fn resolved(&self, records: u32) -> Resolution {
        let there = |(place, _): &(usize, &State)| records >> (place % 32) & 1 == 1;
        let theirs = self.theirs.iter().enumerate().filter(there);
        let theirs: Vec<State> = theirs.map(|(_, theirs)| theirs.clone()).collect();
        resolved(&self.ours, &theirs, &self.now)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::WeRead { records } => {
                self.we_read = Some((self.now.clone(), self.resolved(records)));
            }
            Step::WeWrite { toggles } => {
                let Some((read, resolution)) = self.we_read.take() else {
                    return;
                };
                let resolved_since = resolution.since.filter(|_| resolution.restored_roles.is_some());
                let mut planned = resolution.restored_roles.unwrap_or_else(|| read.roles.clone());
                if toggles {
                    toggle(&mut planned, "editor");
                }
                // A write that changes nothing is never sent.
                if planned != read.roles {
                    self.become_(planned);
                    let wrote = self.now.clone();
                    self.ours.push(OurWrite {
                        window: Some(Window::between(read.at, wrote.at)),
                        read,
                        wrote,
                        managed: vec!["editor".to_owned()],
                        resolved_since,
                        recorded: true,
                    });
                }
            }
            Step::TheyRead => {
                self.they_read = Some(self.now.roles.clone());
                self.since_they_read.clear();
            }
            Step::TheyWrite(role) => {
                let Some(mut roles) = self.they_read.take() else {
                    return;
                };
                let role = FOREIGN[role];
                toggle(&mut roles, role);
                if roles.iter().any(|one| one == role) {
                    self.intended.insert(role.to_owned());
                } else {
                    self.intended.remove(role);
                }
                let fits = |newer: &Vec<String>| {
                    is_toggle(newer, &roles) && follows(newer, &roles, &Split::of(&roles, &OWNED))
                };
                self.ambiguous |= self.since_they_read.iter().any(fits);
                self.become_(roles);
                self.theirs.push(self.now.clone());
            }
        }
    }

    fn foreign(&self) -> BTreeSet<String> {
        let foreign = self.now.roles.iter().filter(|role| *role != "editor");
        foreign.cloned().collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_they_meant_stands_in_the_end(steps in proptest::collection::vec(step(), 0..24)) {
        let mut tenant = Tenant::new();
        for step in steps {
            tenant.take(step);
        }
        // The writes alone do not determine the intention.
        prop_assume!(!tenant.ambiguous);
        tenant.take(Step::WeRead { records: u32::MAX });
        tenant.take(Step::WeWrite { toggles: false });
        prop_assert_eq!(tenant.foreign(), tenant.intended.clone(), "{:?} {:?}", tenant.ours, tenant.theirs);
        prop_assert_eq!(tenant.resolved(u32::MAX).restored_roles, None);
    }
}
