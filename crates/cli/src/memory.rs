//! Finds out whether there is memory for a second copy of what this process holds.
//!
//! **Invariant:** what the kernel does not tell is no reason to do without: then there is room.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What has to be left beside a whole copy: uploads are decoded meanwhile, and records come. A copy takes less than the
/// process is resident with: 65 and 69 % of it, where that was measured (`docs/benchmarks/catch-up.md`).
const SPARE_BYTES: u64 = 32 << 20;
/// Where control groups of version 2 are mounted.
const GROUPS: &str = "/sys/fs/cgroup";
/// Groups above a process that are asked; a path with more of them is none.
const MOST_GROUPS: usize = 64;
const KIB: u64 = 1_024;

/// Where the kernel tells of memory.
pub(crate) trait Kernel {
    /// A small file of its own; `None` where there is none.
    fn file(&self, path: &Path) -> Option<String>;
}

/// The kernel that this process runs on.
#[derive(Debug)]
pub(crate) struct Running;

impl Kernel for Running {
    fn file(&self, path: &Path) -> Option<String> {
        fs::read_to_string(path).ok()
    }
}

/// What this process has of memory, and may still take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// What is resident of it, in bytes, as far as that is known.
    pub resident: Option<u64>,
    /// What it may take beside that, in bytes, as far as that is known.
    pub free: Option<u64>,
}

impl Memory {
    /// Asks the kernel: the least that the groups of this process and the machine have left.
    pub(crate) fn read(kernel: &dyn Kernel) -> Self {
        let machine = || field(&kernel.file(Path::new("/proc/meminfo"))?, "MemAvailable:", KIB);
        let status = kernel.file(Path::new("/proc/self/status"));
        Self {
            resident: status.and_then(|status| field(&status, "VmRSS:", KIB)),
            free: groups(kernel)
                .iter()
                .filter_map(|group| left(kernel, group))
                .chain(machine())
                .min(),
        }
    }

    /// Whether all that is resident fits in once more, with something to spare.
    pub(crate) fn has_room_twice(&self) -> bool {
        let (Some(resident), Some(free)) = (self.resident, self.free) else { return true };
        resident.saturating_add(SPARE_BYTES) <= free
    }
}

/// The group of this process and those above it.
fn groups(kernel: &dyn Kernel) -> Vec<PathBuf> {
    let named = kernel.file(Path::new("/proc/self/cgroup")).unwrap_or_default();
    // Version 2 is the hierarchy without a number and without a name.
    let path = named.lines().find_map(|line| line.strip_prefix("0::/"));
    let Some(path) = path.filter(|path| !path.split('/').any(|part| part == "..")) else {
        return Vec::new();
    };
    let root = Path::new(GROUPS);
    let group = if path.is_empty() { root.to_owned() } else { root.join(path) };
    let above = group.ancestors().take(MOST_GROUPS).take_while(|above| above.starts_with(root));
    above.map(Path::to_owned).collect()
}

/// What a group may still take before its limit. Pages of files that nothing has asked for lately make room first.
fn left(kernel: &dyn Kernel, group: &Path) -> Option<u64> {
    let number = |name: &str| kernel.file(&group.join(name))?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    let stat = kernel.file(&group.join("memory.stat")).unwrap_or_default();
    let idle = field(&stat, "inactive_file", 1).unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(idle)))
}

/// The number after a word that begins a line, times a unit.
fn field(text: &str, name: &str, unit: u64) -> Option<u64> {
    let of = |line: &str| {
        let mut words = line.split_whitespace();
        let number = (words.next()? == name).then(|| words.next())??;
        number.parse::<u64>().ok()?.checked_mul(unit)
    };
    text.lines().find_map(of)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A kernel that tells what a test says.
    struct Told(BTreeMap<&'static str, String>);

    impl Kernel for Told {
        fn file(&self, path: &Path) -> Option<String> {
            self.0.get(path.to_str().unwrap()).cloned()
        }
    }

    /// A machine with 8,000 MiB left, and a process on it.
    fn machine(resident_mib: u64, more: &[(&'static str, String)]) -> Told {
        let status =
            format!("Name:\twatchfire\nVmPeak:\t 9 kB\nVmRSS:\t  {} kB\n", resident_mib * 1_024);
        let meminfo = format!("MemTotal: 1 kB\nMemAvailable:   {} kB\n", 8_000 * 1_024);
        let files = [("/proc/self/status", status), ("/proc/meminfo", meminfo)];
        Told(files.into_iter().chain(more.iter().cloned()).collect())
    }

    fn mib(mib: u64) -> String {
        format!("{}\n", mib * MIB)
    }

    #[test]
    fn what_fits_twice_with_something_to_spare_has_room() {
        let spare = SPARE_BYTES / MIB;
        let has = |resident_mib: u64, free_mib: u64| {
            let (resident, free) = (Some(resident_mib * MIB), Some(free_mib * MIB));
            Memory { resident, free }.has_room_twice()
        };
        assert!(has(100, 100 + spare) && !has(100, 99 + spare));
        assert!(has(0, spare) && !has(0, spare - 1) && !has(1, 0));
        let [resident, free] = [Some(u64::MAX), Some(u64::MAX - 1)];
        assert!(!Memory { resident, free }.has_room_twice());
        assert!(Memory { resident, free: None }.has_room_twice());
        assert!(Memory { resident: None, free }.has_room_twice());
    }

    #[test]
    fn without_a_group_the_machine_is_the_limit() {
        let other = ("/proc/self/cgroup", "4:memory:/docker/1\n0::/\n".to_owned());
        for kernel in [machine(202, &[]), machine(202, &[other])] {
            let told = Memory::read(&kernel);
            assert_eq!(told, Memory { resident: Some(202 * MIB), free: Some(8_000 * MIB) });
            assert!(told.has_room_twice());
        }
        assert_eq!(Memory::read(&Told(BTreeMap::new())), Memory::default());
        let broken = ("/proc/meminfo", "MemAvailable: much kB\n".to_owned());
        assert_eq!(Memory::read(&machine(1, &[broken])).free, None);
    }

    #[test]
    fn the_narrowest_of_all_groups_is_the_limit() {
        let cgroup = |path: &str| ("/proc/self/cgroup", format!("0::{path}\n"));
        let unlimited = ("/sys/fs/cgroup/a/b/memory.max", "max\n".to_owned());
        let above = [
            ("/sys/fs/cgroup/a/memory.max", mib(256)),
            ("/sys/fs/cgroup/a/memory.current", mib(230)),
        ];
        let [max, current] = above;
        let stat =
            ("/sys/fs/cgroup/a/memory.stat", format!("anon 1\ninactive_file {}\n", 20 * MIB));
        let files = [cgroup("/a/b"), unlimited, max.clone(), current.clone(), stat];
        // A small member with a million records: its memory is there once.
        let told = Memory::read(&machine(202, &files));
        assert_eq!(told.free, Some(46 * MIB));
        assert!(!told.has_room_twice());
        // What is told of no idle files is used.
        let told = Memory::read(&machine(202, &[cgroup("/a/b"), max.clone(), current.clone()]));
        assert_eq!(told.free, Some(26 * MIB));
        for path in ["/", "/../a", "/b"] {
            let told = Memory::read(&machine(202, &[cgroup(path), max.clone(), current.clone()]));
            assert_eq!(told.free, Some(8_000 * MIB), "{path}");
        }
        let whole =
            [("/sys/fs/cgroup/memory.max", mib(512)), ("/sys/fs/cgroup/memory.current", mib(600))];
        let [max, current] = whole;
        let told = Memory::read(&machine(202, &[cgroup("/"), max, current]));
        assert_eq!(told.free, Some(0), "a container sees its own group as the root");
    }

    #[test]
    fn this_kernel_tells() {
        let told = Memory::read(&Running);
        assert!(told.resident.is_none_or(|resident| resident > MIB), "{told:?}");
    }
}
