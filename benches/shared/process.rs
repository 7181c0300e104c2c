//! Resource usage of processes, from `/proc`.
//!
//! Owns the parsing of `/proc`. Must never count the bench itself.

use std::fs;

use anyhow::{Context as _, Result};

/// The unit of times in `/proc` (`USER_HZ`), the same on all present Linux platforms.
const TICKS_A_SECOND: f64 = 100.0;

/// Most attempts for a listing: children end rarely, and a listing takes milliseconds.
const TRIES: u32 = 100;

/// Fields of `/proc/PID/stat`, counted from the state on, the first field after the name.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const ENDED_CHILDREN: [usize; 2] = [13, 14];

/// Returns the CPU time of the process itself, in seconds.
pub(crate) fn cpu(pid: u32) -> Result<f64> {
    seconds(&stat(&pid.to_string())?, OWN)
}

/// Returns the CPU time of the process and all its children, also of reaped ones: for a Postgres.
///
/// A child that is reaped while its siblings are listed would be in neither sum, and with it seconds of a backend: a listing
/// counts only if no child was reaped meanwhile.
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
            // The child ended after the listing: if it was ours, the time of reaped children shows it.
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

/// Returns the present memory of the process, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let kib: f64 = held.context("the process is gone")?.trim().parse()?;
    Ok(kib / 1024.0)
}

/// Returns the fields after the name, which may itself contain spaces and brackets.
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
