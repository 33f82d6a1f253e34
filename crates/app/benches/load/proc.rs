//! What processes cost, as the kernel counts it: `/proc` of Linux.

use std::fs;
use std::time::Duration;

use guiche_kernel::BoxError;

/// The kernel tells processor time in hundredths of a second, on every architecture that it tells user space about.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of one process, in user space and in the kernel.
struct Times {
    parent: u32,
    own: Duration,
    /// Of children that have ended and were waited for.
    children: Duration,
}

fn times(pid: &str) -> Option<Times> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold anything; the numbers come behind the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    let ticks: Vec<u32> = fields.skip(9).take(4).filter_map(|field| field.parse().ok()).collect();
    let [user, system, children_user, children_system] = ticks.try_into().ok()?;
    Some(Times { parent, own: TICK * (user + system), children: TICK * (children_user + children_system) })
}

/// Processor time of a process so far.
pub(crate) fn cpu(pid: u32) -> Result<Duration, BoxError> {
    times(&pid.to_string()).map(|times| times.own).ok_or_else(|| format!("process {pid} is gone").into())
}

/// Processor time of a process and of all its children, the ended ones included.
pub(crate) fn cpu_with_children(parent: u32) -> Result<Duration, BoxError> {
    let own = times(&parent.to_string()).ok_or_else(|| format!("process {parent} is gone"))?;
    let all = fs::read_dir("/proc")?.flatten().filter_map(|entry| times(entry.file_name().to_str()?));
    let children: Duration = all.filter(|times| times.parent == parent).map(|times| times.own).sum();
    Ok(own.own + own.children + children)
}

/// Processor time of the children of this process that have ended: between two looks, of the tool that ran.
pub(crate) fn cpu_of_ended_children() -> Result<Duration, BoxError> {
    times("self").map(|times| times.children).ok_or_else(|| "/proc/self/stat cannot be read".into())
}

/// Processor time of this thread, to the nanosecond.
pub(crate) fn cpu_of_thread() -> Result<Duration, BoxError> {
    scheduled("/proc/thread-self/schedstat")
}

/// Processor time of the first thread of a process: of one that has no other, and to the nanosecond.
pub(crate) fn cpu_to_the_nanosecond(pid: u32) -> Result<Duration, BoxError> {
    scheduled(&format!("/proc/{pid}/schedstat"))
}

fn scheduled(file: &str) -> Result<Duration, BoxError> {
    let text = fs::read_to_string(file)?;
    let nanos = text.split_whitespace().next().ok_or_else(|| format!("{file} is empty"))?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Memory of a process, in megabytes (10^6 bytes).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory, BoxError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name: &str| -> Result<f64, BoxError> {
        Ok(kib(&status, name).ok_or("the kernel does not tell the memory of a process")? * 1024.0 / 1e6)
    };
    Ok(Memory { resident: megabytes("VmRSS:")?, peak: megabytes("VmHWM:")? })
}

/// The number on the line of `/proc/…` that begins with this name.
pub(crate) fn kib(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
