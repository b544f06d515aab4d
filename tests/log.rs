//! Access logs: every request in every form, files that are put aside, moved and removed, disks that are full.

mod accounted;
mod disk;
mod forms;
