//! One run from its seed to what came of it.

use tokio::runtime::Builder;

use crate::{
    Broken, Mutant, Options, STEPS,
    fault::Counts,
    oracle::{Finding, Rule},
    panics,
    world::World,
};

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The hash of its trace.
    pub trace: [u8; 32],
    /// The last lines of its trace.
    pub last: Vec<String>,
    /// What the oracle objects to.
    pub findings: Vec<Finding>,
    /// Which faults happened how often.
    pub faults: Counts,
    /// Statements that were acknowledged.
    pub acknowledged: usize,
    /// Decisions to take down or to refuse that the oracle judged.
    pub judged: u64,
    /// Simulated time, in milliseconds.
    pub lasted_ms: u64,
}

impl Outcome {
    /// What the oracle objects to, with the command that repeats the run; empty where it does not.
    #[must_use]
    pub fn told(&self, steps: u32) -> String {
        if self.findings.is_empty() {
            return String::new();
        }
        let findings = self.findings.iter().take(12).map(|finding| format!("  {finding}\n"));
        let steps = if steps == STEPS { String::new() } else { format!(" --steps {steps}") };
        let seed = self.seed;
        let findings: String = findings.collect();
        format!(
            "seed {seed} failed:\n{findings}  repeat it: cargo xtask sim --seed {seed}{steps} --aloud\n"
        )
    }
}

/// Runs a seed.
///
/// # Errors
/// [`Broken`]: the simulation does not work.
pub fn run(options: &Options) -> Result<Outcome, Broken> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let panics = panics::count();
    let outcome = runtime.block_on(async {
        let world = World::new(options)?;
        if options.mutant == Some(Mutant::StoppedClock)
            && let Some(member) = world.members.first()
        {
            member.clock.stop();
        }
        world.run().await?;
        let (acknowledged, judged) = world.oracle.heard();
        if panics::count() > panics {
            world.object(Rule::Panicked, "a task", panics::last());
        }
        Ok(Outcome {
            seed: options.seed,
            trace: world.trace.hash(),
            last: world.trace.last(),
            findings: world.oracle.findings(),
            faults: world.faults.counted(),
            acknowledged,
            judged,
            lasted_ms: world.time.now_ms() - crate::time::START_MS,
        })
    });
    // Tasks that wait for ever end with it.
    drop(runtime);
    outcome
}
