//! What the kernel says that processes took: `/proc`.
//!
//! Owns reading it. Must never count the bench itself.

use std::fs;

use anyhow::{Context as _, Result};

/// The unit of times in `/proc`, the same on every machine that Linux runs on today (`USER_HZ`).
const TICKS_A_SECOND: f64 = 100.0;

/// Children end seldom; a listing takes milliseconds.
const TRIES: u32 = 100;

/// Fields of `/proc/PID/stat`, counted from the state on, the first one behind the name.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const ENDED_CHILDREN: [usize; 2] = [13, 14];

/// Time that the cores worked for the process itself, in seconds.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    seconds(&stat(&pid.to_string())?, OWN)
}

/// The same for the process and all its children, also those that have ended and been waited for: a Postgres.
///
/// A child that is waited for while its siblings are listed would be in neither sum, and with it seconds of a backend: a
/// listing counts only if nobody was waited for meanwhile.
pub(crate) fn cpu_with_children(pid: u32) -> Result<f64> {
    let parent = pid.to_string();
    for _ in 0..TRIES {
        let before = ended_children(&parent)?;
        let mut sum = seconds(&stat(&parent)?, OWN)? + before;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
                continue;
            };
            // Ended since the listing: if it was ours, what is waited for shows it.
            let Ok(fields) = stat(name) else { continue };
            if fields.get(PARENT).is_some_and(|of| *of == parent) {
                sum += seconds(&fields, OWN)?;
            }
        }
        if ended_children(&parent)?.total_cmp(&before).is_eq() {
            return Ok(sum);
        }
    }
    anyhow::bail!("children of process {pid} end faster than they can be listed")
}

fn ended_children(parent: &str) -> Result<f64> {
    seconds(&stat(parent)?, ENDED_CHILDREN)
}

/// Memory that the process holds now, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kib: f64 = held.context("the process is gone")?.trim().parse()?;
    Ok(kib / 1024.0)
}

/// The fields behind the name, which may hold spaces and brackets itself.
fn stat(pid: &str) -> Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, behind) = stat.rsplit_once(") ").context("/proc: stat without a name")?;
    Ok(behind.split_whitespace().map(str::to_owned).collect())
}

fn seconds(fields: &[String], which: [usize; 2]) -> Result<f64> {
    let mut ticks = 0.0;
    for at in which {
        let field = fields.get(at).context("/proc: stat is too short")?;
        ticks += field.parse::<f64>()?;
    }
    Ok(ticks / TICKS_A_SECOND)
}
