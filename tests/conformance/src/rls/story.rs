//! A random story, and the shortest one that ends in the same violation.

use std::fmt::Write;

use crate::random::Random;
use crate::rls::canary::Canaries;
use crate::rls::rules::Rules;
use crate::rls::schema::Schema;
use crate::rls::world::{Setup, Step, TAG, Violation, World};
use crate::rls::writes::Writer;

/// Steps of a story, without the syncs at its end.
const STEPS: u64 = 70;

/// How often a failing story is tried again to find a shorter one.
const SHRINK_TRIES: u32 = 250;

/// Tells the story of a seed.
///
/// # Errors
/// It ends in a violation; the shortest such story found, to be read.
pub fn run(seed: u64) -> Result<(), String> {
    let mut teller = Teller::new(seed);
    let mut world = World::new(&teller.setup);
    let mut steps = Vec::new();
    let mut violation = world.check_metadata().err();
    let mut left = STEPS;
    while violation.is_none() && left > 0 {
        let step = teller.step(&mut world);
        violation = world.take(&teller.setup, &step).err();
        steps.push(step);
        left -= 1;
    }
    let devices = teller.setup.devices.len();
    for step in (0..devices).chain((0..devices).rev()).map(Step::Sync) {
        if violation.is_none() {
            violation = world.take(&teller.setup, &step).err();
            steps.push(step);
        }
    }
    drop(world);
    match violation {
        None => Ok(()),
        Some(violation) => {
            let (steps, violation) = shrink(&teller.setup, steps, violation);
            Err(print(seed, &teller.setup, &steps, &violation))
        }
    }
}

struct Teller {
    random: Random,
    canaries: Canaries,
    setup: Setup,
    rules: Rules,
    used: Vec<(String, String)>,
}

impl Teller {
    fn new(seed: u64) -> Teller {
        let mut random = Random::new(seed);
        let schema = Schema::random(&mut random, TAG);
        let ddl = schema.server_ddl(&mut random);
        let policies = schema.policies(&mut random);
        let mut devices: Vec<usize> = (0..schema.users.len()).collect();
        if random.below(2) == 0 {
            devices.push(random.below(schema.users.len() as u64) as usize);
        }
        let mut created: Vec<String> = policies.iter().map(|policy| policy.create()).collect();
        // What policies read is watched in every second world, and looked at by each pull in the others.
        if seed.is_multiple_of(2) {
            created
                .extend(schema.table_names().iter().map(|table| format!("SELECT cloudsync_init('{table}')")));
        }
        let setup = Setup { schema, ddl, policies: created, devices };
        Teller { random, canaries: Canaries::default(), setup, rules: Rules::new(policies), used: Vec::new() }
    }

    fn step(&mut self, world: &mut World) -> Step {
        let device = self.random.below(self.setup.devices.len() as u64) as usize;
        match self.random.below(20) {
            0..=7 => {
                Step::OnDevice(device, self.write(world, Some(device), Some(self.setup.devices[device])))
            }
            8 => {
                let user = self.random.below(self.setup.schema.users.len() as u64) as usize;
                Step::ByUser(user, self.write(world, None, Some(user)))
            }
            9..=12 => Step::OnServer(self.write(world, None, None)),
            13 | 14 => {
                let change = self.rules.change(&mut self.random, &self.setup.schema);
                Step::Rule(change.sql, change.log_in)
            }
            _ => Step::Sync(device),
        }
    }

    fn write(&mut self, world: &mut World, device: Option<usize>, user: Option<usize>) -> String {
        let table = self.random.pick(&self.setup.schema.tables);
        let keys = world.keys(&table.name, device);
        self.used.extend(keys.iter().map(|key| (table.name.clone(), key.clone())));
        self.used.sort();
        self.used.dedup();
        let used =
            self.used.iter().filter(|(name, _)| *name == table.name).map(|(_, key)| key.clone()).collect();
        let writer = Writer {
            random: &mut self.random,
            canaries: &mut self.canaries,
            schema: &self.setup.schema,
            table,
            keys,
            used,
            parents: world.keys("t0", device),
            user,
            on_device: device.is_some(),
        };
        writer.statement()
    }
}

fn tell(setup: &Setup, steps: &[Step]) -> Option<Violation> {
    let mut world = World::new(setup);
    steps.iter().find_map(|step| world.take(setup, step).err())
}

/// Leaves out steps and policies as long as the story still ends in a violation of the same kind.
fn shrink(setup: &Setup, mut steps: Vec<Step>, mut violation: Violation) -> (Vec<Step>, Violation) {
    let mut size = steps.len() / 2;
    let mut tries = 0;
    while size > 0 && tries < SHRINK_TRIES {
        let mut start = 0;
        while start < steps.len() && tries < SHRINK_TRIES {
            let end = (start + size).min(steps.len());
            let shorter: Vec<Step> = [&steps[..start], &steps[end..]].concat();
            tries += 1;
            match tell(setup, &shorter) {
                Some(same) if same.kind == violation.kind => (steps, violation) = (shorter, same),
                _ => start = end,
            }
        }
        size /= 2;
    }
    (steps, violation)
}

fn print(seed: u64, setup: &Setup, steps: &[Step], violation: &Violation) -> String {
    let mut text = format!("seed {seed}: {}\n{}\n\nset-up:\n", violation.kind, violation.detail);
    for sql in setup.ddl.iter().chain(&setup.policies) {
        let _ = writeln!(text, "  {sql};");
    }
    let users = setup.devices.iter().enumerate().map(|(at, user)| format!("d{at} of u{user}"));
    let _ = writeln!(text, "devices: {}\nsteps:", users.collect::<Vec<_>>().join(", "));
    for step in steps {
        let _ = match step {
            Step::OnDevice(device, sql) => writeln!(text, "  d{device}: {sql};"),
            Step::ByUser(user, sql) => writeln!(text, "  u{user} on the server: {sql};"),
            Step::OnServer(sql) => writeln!(text, "  server: {sql};"),
            Step::Rule(sql, Some(user)) => writeln!(text, "  rule: {sql}; -- u{user} logs in anew"),
            Step::Rule(sql, None) => writeln!(text, "  rule: {sql};"),
            Step::Sync(device) => writeln!(text, "  d{device}: sync;"),
        };
    }
    text
}
