//! What is on the disk after the power was cut: what was not synced is there in part or not at all.
//!
//! Names change in their order, as in a file system with a journal, and those before the last sync of any file are on the disk.
//! Of a file's bytes those are there that were written before its last sync; of later writes none, all, or the first few.

use std::collections::BTreeMap;

use lancer_faults::record::{Kind, Record};

use crate::{draw::Draw, folder::Files};

/// A file, whatever its name is.
#[derive(Default)]
struct Node {
    /// Its bytes at its last sync.
    synced: Vec<u8>,
    /// Each change since.
    since: Vec<Change>,
}

enum Change {
    Bytes { offset: usize, data: Vec<u8> },
    Length(usize),
}

#[derive(Clone)]
enum Naming {
    Made { name: String, node: usize },
    Renamed { from: String, to: String },
    Linked { from: String, to: String },
    Removed { name: String },
}

/// Names of files and the files that they are.
type Names = BTreeMap<String, usize>;

/// The files that are left, of those that were there before the calls.
pub(crate) fn files_left(before: &Files, calls: &[Record], draw: &mut Draw) -> Files {
    let mut nodes: Vec<Node> = Vec::new();
    let mut names = Names::new();
    for (name, bytes) in before {
        names.insert(name.clone(), nodes.len());
        nodes.push(Node { synced: bytes.clone(), since: Vec::new() });
    }
    let mut on_disk = names.clone();
    let mut pending: Vec<Naming> = Vec::new();
    for call in calls.iter().filter(|call| call.result >= 0 && !call.is_fault) {
        let naming = match call.kind {
            Kind::Open | Kind::OpenEmpty => {
                if let Some(&node) = names.get(&call.path) {
                    if call.kind == Kind::OpenEmpty {
                        nodes[node].since.push(Change::Length(0));
                    }
                    None
                } else {
                    nodes.push(Node::default());
                    Some(Naming::Made { name: call.path.clone(), node: nodes.len() - 1 })
                }
            }
            Kind::Write | Kind::Truncate => {
                if let Some(&node) = names.get(&call.path) {
                    let offset = call.offset as usize;
                    nodes[node].since.push(match call.kind {
                        Kind::Write => Change::Bytes { offset, data: call.data.clone() },
                        _ => Change::Length(offset),
                    });
                }
                None
            }
            Kind::Sync => {
                if let Some(&node) = names.get(&call.path) {
                    let all = nodes[node].since.len();
                    nodes[node].synced = nodes[node].bytes(all);
                    nodes[node].since.clear();
                }
                pending.drain(..).for_each(|naming| apply(&mut on_disk, &naming));
                None
            }
            Kind::Rename => Some(Naming::Renamed { from: call.path.clone(), to: call.to.clone() }),
            Kind::Link => Some(Naming::Linked { from: call.path.clone(), to: call.to.clone() }),
            Kind::Remove => Some(Naming::Removed { name: call.path.clone() }),
            Kind::Read | Kind::Folder | Kind::RemoveFolder => None,
        };
        if let Some(naming) = naming {
            apply(&mut names, &naming);
            pending.push(naming);
        }
    }
    let reached = draw.below(pending.len() as u64 + 1) as usize;
    pending[..reached].iter().for_each(|naming| apply(&mut on_disk, naming));
    on_disk
        .into_iter()
        .filter(|(name, _)| !name.ends_with("-shm"))
        .map(|(name, node)| {
            let node = &nodes[node];
            let count = node.since.len();
            let reached = match draw.below(3) {
                0 => 0,
                1 => count,
                _ => draw.below(count as u64 + 1) as usize,
            };
            (name, node.bytes(reached))
        })
        .collect()
}

impl Node {
    /// Its bytes after so many of the changes.
    fn bytes(&self, changes: usize) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.since[..changes] {
            match change {
                Change::Length(length) => bytes.resize(*length, 0),
                Change::Bytes { offset, data } => {
                    let end = offset + data.len();
                    if bytes.len() < end {
                        bytes.resize(end, 0);
                    }
                    bytes[*offset..end].copy_from_slice(data);
                }
            }
        }
        bytes
    }
}

fn apply(names: &mut Names, naming: &Naming) {
    match naming {
        Naming::Made { name, node } => {
            names.insert(name.clone(), *node);
        }
        Naming::Removed { name } => {
            names.remove(name);
        }
        Naming::Linked { from, to } => {
            if let Some(&node) = names.get(from) {
                names.insert(to.clone(), node);
            }
        }
        Naming::Renamed { from, to } => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
                return;
            }
            // A folder, with all that is in it.
            let within = format!("{from}/");
            let moved: Vec<String> = names.keys().filter(|name| name.starts_with(&within)).cloned().collect();
            for name in moved {
                if let Some(node) = names.remove(&name) {
                    names.insert(format!("{to}/{}", &name[within.len()..]), node);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lancer_faults::record::{Kind, Record};

    use super::files_left;
    use crate::{draw::Draw, folder::Files};

    fn call(kind: Kind, path: &str, to: &str, data: &str) -> Record {
        let (path, to) = (path.to_owned(), to.to_owned());
        Record { kind, path, to, offset: 0, result: 0, data: data.as_bytes().to_vec(), is_fault: false }
    }

    #[test]
    fn what_was_synced_is_there_and_what_was_not_may_be_gone() {
        let before = Files::from([("old".to_owned(), b"was".to_vec())]);
        let mut calls = vec![
            call(Kind::OpenEmpty, "a.new", "", ""),
            call(Kind::Write, "a.new", "", "whole"),
            call(Kind::Sync, "a.new", "", ""),
            call(Kind::Rename, "a.new", "a", ""),
            call(Kind::OpenEmpty, "b", "", ""),
            call(Kind::Write, "b", "", "unsynced"),
            call(Kind::Rename, "old", "folder/old", ""),
        ];
        let mut ends = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let left = files_left(&before, &calls, &mut Draw::new(seed, "test"));
            let a = left.get("a").or(left.get("a.new")).unwrap();
            assert_eq!(a, b"whole");
            assert_eq!(left.get("old").or(left.get("folder/old")).unwrap(), b"was");
            ends.insert(left.get("b").cloned());
        }
        assert!(ends.contains(&None) && ends.contains(&Some(Vec::new())), "{ends:?}");
        assert!(ends.contains(&Some(b"unsynced".to_vec())));
        calls.push(call(Kind::Sync, "b", "", ""));
        for seed in 0..50 {
            let left = files_left(&before, &calls, &mut Draw::new(seed, "test"));
            assert_eq!((&left["a"][..], &left["b"][..]), (&b"whole"[..], &b"unsynced"[..]));
        }
    }
}
