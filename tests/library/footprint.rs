//! What this process holds of the kernel's resources.

/// The kernel's resources that the process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) threads: usize,
    pub(crate) files: usize,
    pub(crate) mappings: usize,
    /// In bytes.
    pub(crate) resident: usize,
}

impl Footprint {
    pub(crate) fn now() -> Self {
        let entries = |folder| std::fs::read_dir(folder).unwrap().count();
        let read = |file| std::fs::read_to_string(file).unwrap();
        let status = read("/proc/self/status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.unwrap().trim().trim_end_matches(" kB");
        Self {
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
            mappings: read("/proc/self/maps").lines().count(),
            resident: resident.parse::<usize>().unwrap() << 10,
        }
    }
}
