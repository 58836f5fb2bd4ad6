//! What an output may take the place of, and what is left of it when it is not finished.

#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lancer_output::{Existing, FILES, OutputError, Place, check_apart};
use proptest::prelude::*;

const ALL: [Existing; 3] = [Existing::Kept, Existing::Overwritten, Existing::Own];

fn write_file(path: &Path, existing: Existing, text: &str) -> Result<(), OutputError> {
    Place::file(path, existing)?.write(|to| fs::write(to, text).map_err(OutputError::write(to)))
}

fn write_folder(path: &Path, existing: Existing, text: &str) -> Result<(), OutputError> {
    Place::folder(path, existing)?.write(|to| {
        let write = || {
            fs::create_dir_all(to.join("onnx"))?;
            fs::write(to.join("config.json"), text)?;
            fs::write(to.join("onnx/model.onnx"), text)
        };
        write().map_err(OutputError::write(to))
    })
}

/// Everything in a folder: files with their texts, folders with nothing.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, None);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            found.insert(path, Some(text));
        }
    }
    found
}

#[test]
fn a_file_takes_the_place_of_nothing_unless_it_is_said() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/out.jsonl");
    write_file(&path, Existing::Kept, "first").unwrap();
    assert!(matches!(write_file(&path, Existing::Kept, "second"), Err(OutputError::Exists { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    for existing in [Existing::Overwritten, Existing::Own] {
        write_file(&path, existing, "second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
    }
    assert_eq!(tree(root.path()).len(), 3, "scratch is left: {:?}", tree(root.path()));
}

#[test]
fn a_folder_takes_the_place_of_what_lancer_wrote_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model");
    write_folder(&path, Existing::Kept, "first").unwrap();
    assert!(matches!(write_folder(&path, Existing::Kept, "second"), Err(OutputError::Exists { .. })));
    write_folder(&path, Existing::Overwritten, "second").unwrap();
    assert_eq!(fs::read_to_string(path.join("onnx/model.onnx")).unwrap(), "second");
    // A file is added, in any depth.
    for added in ["notes.txt", "onnx/mine.onnx", "new/deep/file", ".hidden"] {
        let file = path.join(added);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let before = tree(root.path());
        for existing in [Existing::Kept, Existing::Overwritten] {
            let error = write_folder(&path, existing, "third").unwrap_err();
            assert!(error.to_string().contains(added), "{error}");
            assert_eq!(tree(root.path()), before);
        }
        fs::remove_file(file).unwrap();
    }
    // A file is edited.
    fs::write(path.join("config.json"), "edited").unwrap();
    let error = write_folder(&path, Existing::Overwritten, "third").unwrap_err();
    assert!(
        matches!(&error, OutputError::Changed { file, .. } if file == Path::new("config.json")),
        "{error}"
    );
    write_folder(&path, Existing::Own, "own").unwrap();
    assert_eq!(fs::read_to_string(path.join("config.json")).unwrap(), "own");
    assert!(!path.join(FILES).exists());
}

#[test]
fn a_folder_of_folders_is_not_empty() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("out/kept")).unwrap();
    let error = write_folder(&root.path().join("out"), Existing::Overwritten, "new").unwrap_err();
    assert!(matches!(&error, OutputError::Foreign { file, .. } if file == Path::new("kept")), "{error}");
}

#[cfg(unix)]
#[test]
fn an_empty_folder_stays_the_folder_that_it_was() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let inode = || fs::metadata(root.path()).unwrap().ino();
    let before = inode();
    for (existing, text) in [(Existing::Kept, "one"), (Existing::Overwritten, "two")] {
        write_folder(&root.path().join("."), existing, text).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("config.json")).unwrap(), text);
    }
    assert_eq!(inode(), before);
    let names: Vec<String> = tree(root.path())
        .into_keys()
        .map(|path| path.strip_prefix(root.path()).unwrap().display().to_string())
        .collect();
    assert_eq!(names, [FILES, "config.json", "onnx", "onnx/model.onnx"]);
}

#[test]
fn what_is_of_another_kind_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (file, folder) = (root.path().join("file"), root.path().join("folder"));
    fs::write(&file, "mine").unwrap();
    fs::create_dir(&folder).unwrap();
    for existing in ALL {
        assert!(matches!(Place::file(&folder, existing), Err(OutputError::NotAFile { .. })));
        assert!(matches!(Place::folder(&file, existing), Err(OutputError::NotAFolder { .. })));
        assert!(matches!(
            Place::file(&root.path().join("new/"), existing),
            Err(OutputError::NotAFile { .. })
        ));
        assert!(matches!(Place::file(&file.join("below"), existing), Err(OutputError::Blocked { .. })));
        assert!(matches!(Place::folder(&file.join("below/it"), existing), Err(OutputError::Blocked { .. })));
        if cfg!(unix) {
            assert!(matches!(
                Place::file(Path::new("/dev/null"), existing),
                Err(OutputError::NotAFile { .. })
            ));
        }
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn inputs_are_apart_from_outputs() {
    let root = tempfile::tempdir().unwrap();
    let (data, model) = (root.path().join("data.jsonl"), root.path().join("model"));
    fs::write(&data, "mine").unwrap();
    fs::create_dir_all(model.join("onnx")).unwrap();
    fs::write(model.join("config.json"), "mine").unwrap();
    for (output, input, relation) in [
        (root.path().join("./model/../data.jsonl"), &data, "is"),
        (model.join("model.gguf"), &model, "is within"),
        (root.path().to_path_buf(), &data, "holds"),
        (model.join(""), &model, "is"),
    ] {
        let error = check_apart(&output, input).unwrap_err();
        assert!(
            matches!(&error, OutputError::Input { relation: found, .. } if *found == relation),
            "{error}"
        );
    }
    check_apart(&root.path().join("data.jsonl2"), &data).unwrap();
    check_apart(&root.path().join("new.jsonl"), &root.path().join("no such input")).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_what_is_written_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let (link, file) = (root.path().join("link"), root.path().join("below/file"));
    std::os::unix::fs::symlink("below/file", &link).unwrap();
    write_file(&link, Existing::Kept, "first").unwrap();
    assert!(matches!(write_file(&link, Existing::Kept, "second"), Err(OutputError::Exists { .. })));
    write_file(&link, Existing::Overwritten, "second").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "second");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[cfg(unix)]
#[test]
fn permissions_are_those_of_new_files() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::write(root.path().join("plain"), "").unwrap();
    let plain = mode(&root.path().join("plain"));
    let path = root.path().join("model");
    let place = Place::folder(&path, Existing::Kept).unwrap();
    let scratch = place.begin().unwrap();
    fs::create_dir(scratch.path()).unwrap();
    let file = scratch.path().join("weights");
    fs::write(&file, "").unwrap();
    // As libraries do that write by way of a scratch file.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    scratch.finish().unwrap();
    assert_eq!(mode(&path.join("weights")), plain);
    assert_eq!(mode(&path.join(FILES)), plain);
}

#[test]
fn what_is_not_finished_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let before = tree(root.path());
    let place = Place::folder(&root.path().join("new/deep/model"), Existing::Kept).unwrap();
    assert_eq!(tree(root.path()), before, "a check makes nothing");
    let scratch = place.begin().unwrap();
    fs::create_dir_all(scratch.path()).unwrap();
    fs::write(scratch.path().join("half"), "").unwrap();
    drop(scratch);
    assert_eq!(tree(root.path()), before);
    // Nothing was written, or a file for a folder.
    assert!(place.begin().unwrap().finish().is_err());
    let scratch = place.begin().unwrap();
    fs::write(scratch.path(), "a file").unwrap();
    assert!(scratch.finish().is_err());
    assert_eq!(tree(root.path()), before);
}

#[test]
fn work_is_kept_where_its_place_was_taken_meanwhile() {
    let root = tempfile::tempdir().unwrap();
    let (file, folder) = (root.path().join("out.gguf"), root.path().join("out"));
    let place = Place::file(&file, Existing::Kept).unwrap();
    let scratch = place.begin().unwrap();
    fs::write(scratch.path(), "trained").unwrap();
    fs::write(&file, "another's").unwrap();
    let error = scratch.finish().unwrap_err();
    assert!(matches!(&error, OutputError::Kept { kept, .. } if kept.ends_with("out-2.gguf")), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "another's");
    assert_eq!(fs::read_to_string(root.path().join("out-2.gguf")).unwrap(), "trained");

    for is_there_before in [false, true] {
        if is_there_before {
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir(&folder).unwrap();
        }
        let scratch = Place::folder(&folder, Existing::Kept).unwrap().begin().unwrap();
        fs::create_dir(scratch.path()).unwrap();
        fs::write(scratch.path().join("config.json"), "trained").unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), "another's").unwrap();
        let error = scratch.finish().unwrap_err();
        let OutputError::Kept { kept, .. } = error else { panic!("{error}") };
        assert_eq!(fs::read_to_string(folder.join("config.json")).unwrap(), "another's");
        assert_eq!(fs::read_to_string(kept.join("config.json")).unwrap(), "trained");
    }
}

#[test]
fn too_little_room_is_said_before() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::file(&root.path().join("new/out.gguf"), Existing::Kept).unwrap();
    place.with_room(1).unwrap();
    if cfg!(unix) {
        let error = place.with_room(u64::MAX).unwrap_err();
        assert!(matches!(error, OutputError::NoRoom { .. }), "{error}");
    }
}

/// What may happen to a folder between two outputs.
#[derive(Debug, Clone)]
enum Event {
    Write(usize),
    Add(usize),
    Edit(usize),
    Remove(usize),
}

const NAMES: [&str; 5] = ["config.json", "onnx/model.onnx", "mine.txt", "onnx/mine.bin", "own/notes"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was done to a folder, what the user put or changed there is there after each output to it.
    #[test]
    fn nothing_of_the_users_is_lost(events in prop::collection::vec(prop_oneof![
        (0..2_usize).prop_map(Event::Write),
        (0..NAMES.len()).prop_map(Event::Add),
        (0..NAMES.len()).prop_map(Event::Edit),
        (0..NAMES.len()).prop_map(Event::Remove),
    ], 1..12)) {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        // The user's files, with their texts.
        let mut mine: BTreeMap<&str, String> = BTreeMap::new();
        let mut changes = 0;
        for event in events {
            changes += 1;
            match event {
                Event::Write(existing) => {
                    let text = format!("lancer {changes}");
                    let written = write_folder(&folder, ALL[existing], &text);
                    prop_assert!(written.is_err() || mine.is_empty());
                    if written.is_ok() {
                        prop_assert_eq!(fs::read_to_string(folder.join("config.json")).unwrap(), text);
                    }
                }
                Event::Add(name) | Event::Edit(name) => {
                    let (path, text) = (folder.join(NAMES[name]), format!("mine, and change {changes}"));
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, &text).unwrap();
                    mine.insert(NAMES[name], text);
                }
                Event::Remove(name) => {
                    let _ = fs::remove_file(folder.join(NAMES[name]));
                    mine.remove(NAMES[name]);
                }
            }
            for (name, text) in &mine {
                prop_assert_eq!(&fs::read_to_string(folder.join(name)).unwrap(), text);
            }
        }
    }
}
