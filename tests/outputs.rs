//! What commands write: nothing of the user's is destroyed, whatever is asked for and whatever ends the command.

#![cfg(all(unix, feature = "llama-cpp", feature = "burn-cpu"))]
#![allow(clippy::unwrap_used, reason = "a step that fails fails its test")]

mod program;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use program::{TINY, command, text};
use serde_json::Value;
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// A folder of the user's, with seeds, a task on them, a file that nobody may touch, and a cache.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let all = fs::read_to_string(format!("{FIXTURES}/seeds.jsonl")).unwrap();
        let some: String = all.lines().take(6).flat_map(|line| [line, "\n"]).collect();
        fs::write(home.path("seeds.jsonl"), some).unwrap();
        fs::write(
            home.path("task.toml"),
            "name = \"seeds\"\ndata = \"seeds.jsonl\"\n[prompt]\nformat = \"chat\"\ntemplate = \"{{ prompt }}\"\n\
             [response_nll]\nresponse = \"response\"\n",
        )
        .unwrap();
        fs::write(home.path("thesis.txt"), "years of work").unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command that runs in the folder.
    fn command(&self, line: &str) -> Command {
        let arguments: Vec<String> = line.split(' ').map(|word| word.replace("TINY", TINY)).collect();
        let mut command = command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.current_dir(self.0.path()).env("LANCER_CACHE", self.path("cache"));
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    fn succeeds(&self, line: &str) -> Output {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        output
    }

    /// Runs a command that is to be refused, and says with which code and that nothing has changed.
    fn refuses(&self, line: &str, code: i32, said: &str) {
        let before = tree(self.0.path());
        let output = self.run(line);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(stderr.contains(said), "{line}: {stderr}");
        assert_eq!(tree(self.0.path()), before, "{line}");
    }

    /// Whether nothing that is only for the time of writing is left anywhere.
    fn is_clean(&self) -> bool {
        !tree(self.0.path()).keys().any(|path| path.display().to_string().contains(".partial"))
    }
}

/// Everything in a folder but the cache: files with their bytes, folders with nothing.
fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "cache")
    {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(tree(&path));
            found.insert(path, None);
        } else if kind.is_file() {
            found.insert(path.clone(), Some(fs::read(&path).unwrap()));
        } else {
            found.insert(path, None);
        }
    }
    found
}

const TRAIN: &str = "--model TINY --threads 1 --set train.batch={examples=6} --set held_out=0.0";

/// Commands that write, each with the name of its output, ready to be made again.
const WRITERS: [(&str, &str); 10] = [
    ("clean seeds.jsonl OUT", "kept.jsonl"),
    ("clean seeds.jsonl other.jsonl --dropped OUT", "dropped.jsonl"),
    ("dedup seeds.jsonl OUT", "once.csv"),
    ("review seeds.jsonl OUT --model TINY --threads 1 --set mode=likelihood", "scored.jsonl"),
    (
        "generate seeds.jsonl OUT --what responses --count 1 --model TINY --threads 1 --set max_response_tokens=4",
        "new.json",
    ),
    ("eval task.toml --items OUT --model TINY --threads 1", "items.jsonl"),
    ("convert TINY OUT", "tiny.gguf"),
    ("convert TINY OUT", "tiny"),
    ("convert TINY OUT --to onnx", "tiny-onnx"),
    ("train sft seeds.jsonl OUT TRAIN", "trained"),
];

#[test]
fn an_output_replaces_nothing_unless_it_is_said() {
    for (line, name) in WRITERS {
        let home = Home::new();
        let line = line.replace("OUT", name).replace("TRAIN", TRAIN);
        let line = line.as_str();
        home.succeeds(line);
        let written = tree(&home.path(""));
        home.refuses(line, 2, "--overwrite");
        home.succeeds(&format!("{line} --overwrite"));
        assert_eq!(
            tree(&home.path("")).keys().collect::<Vec<_>>(),
            written.keys().collect::<Vec<_>>(),
            "{line}"
        );
        // What lancer did not write is not replaced by a file's name either.
        let output = home.path(name);
        if output.is_dir() {
            fs::write(output.join("notes.txt"), "mine").unwrap();
            home.refuses(&format!("{line} --overwrite"), 2, "notes.txt");
        } else {
            fs::remove_file(&output).unwrap();
            fs::create_dir(&output).unwrap();
            home.refuses(&format!("{line} --overwrite"), 2, "a folder");
        }
        assert!(home.is_clean(), "{line}");
    }
}

#[test]
fn a_folder_of_the_users_is_never_an_output() {
    let home = Home::new();
    fs::create_dir(home.path("photos")).unwrap();
    fs::write(home.path("photos/beach.jpg"), "sand").unwrap();
    for overwrite in ["", " --overwrite"] {
        home.refuses(
            &format!("train sft seeds.jsonl . {TRAIN}{overwrite}"),
            2,
            "holds the input seeds.jsonl",
        );
        home.refuses(&format!("train sft seeds.jsonl photos {TRAIN}{overwrite}"), 2, "beach.jpg");
        home.refuses(&format!("convert TINY photos/../photos/{overwrite}"), 2, "beach.jpg");
        home.refuses(&format!("convert TINY . --to onnx{overwrite}"), 2, "give a new folder");
        home.refuses(&format!("convert TINY thesis.txt{overwrite}"), 2, "a folder is to be written");
        home.refuses(
            &format!("convert TINY thesis.txt/below/tiny.gguf{overwrite}"),
            2,
            "thesis.txt is no folder",
        );
        home.refuses(&format!("clean seeds.jsonl seeds.jsonl{overwrite}"), 2, "is the input");
        home.refuses(&format!("dedup ./seeds.jsonl photos/../seeds.jsonl{overwrite}"), 2, "is the input");
        home.refuses(&format!("dedup *.jsonl seeds.jsonl{overwrite}"), 2, "is the input");
        home.refuses(&format!("clean . new.jsonl{overwrite}"), 2, "is within the input");
        home.refuses(
            &format!("clean seeds.jsonl new.jsonl --dropped ./new.jsonl{overwrite}"),
            2,
            "--dropped",
        );
        home.refuses(&format!("clean seeds.jsonl photos{overwrite}"), 1, "does not end in");
        home.refuses(&format!("clean seeds.jsonl new.jsonl/{overwrite}"), 2, "a file is to be written");
        home.refuses(
            &format!("eval task.toml --items task.toml --model TINY{overwrite}"),
            1,
            "does not end in",
        );
        home.refuses(
            &format!("eval task.toml --items seeds.jsonl --model TINY{overwrite}"),
            2,
            "is the input",
        );
        home.refuses(
            &format!("train sft seeds.jsonl new --checkpoints new/steps {TRAIN}{overwrite}"),
            2,
            "within one another",
        );
    }
    fs::create_dir_all(home.path("run/models")).unwrap();
    fs::write(home.path("run/models/m0.gguf"), "the user's").unwrap();
    home.refuses("evolve --seeds seeds.jsonl --model TINY --run run", 2, "holds models and no run");
    fs::rename(home.path("run"), home.path("lance-1")).unwrap();
    home.refuses(
        "compare --recipes spin,lance --seeds seeds.jsonl --model TINY --runs .",
        2,
        "holds models and no run",
    );
}

#[test]
fn a_trained_model_gets_to_any_place_that_was_accepted() {
    let home = Home::new();
    fs::create_dir(home.path("empty")).unwrap();
    let train = |place: &str| home.succeeds(&format!("train sft seeds.jsonl {place} {TRAIN}"));
    for (place, model) in
        [("new/", "new"), ("a/deep/folder", "a/deep/folder"), ("x/./y/../z", "x/z"), ("b/m.gguf", "b/m.gguf")]
    {
        train(place);
        let written = home.path(model);
        assert!(written.is_file() || written.join("model.safetensors").is_file(), "{place}");
    }
    // The folder in which a shell works stays the one that it is.
    let inode = fs::metadata(home.path("empty")).unwrap().ino();
    let here = home
        .command(&format!("train sft ../seeds.jsonl . {TRAIN}"))
        .current_dir(home.path("empty"))
        .output()
        .unwrap();
    assert!(here.status.success(), "{}", text(&here.stderr));
    assert!(home.path("empty/model.safetensors").is_file());
    assert_eq!(fs::metadata(home.path("empty")).unwrap().ino(), inode);
    assert!(home.is_clean());
}

#[test]
fn every_file_has_the_permissions_that_the_user_asked_for() {
    let home = Home::new();
    for (line, name) in [
        ("convert TINY tiny", "tiny"),
        ("convert TINY tiny.gguf", "."),
        ("clean seeds.jsonl kept.parquet", "."),
    ] {
        let lancer = home.command(line);
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask 027; exec \"$0\" \"$@\""]).arg(lancer.get_program()).args(lancer.get_args());
        let output =
            shell.current_dir(home.path("")).env("LANCER_CACHE", home.path("cache")).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let given = ["seeds.jsonl", "task.toml", "thesis.txt"];
        for entry in fs::read_dir(home.path(name)).unwrap().map(Result::unwrap) {
            if !entry.file_type().unwrap().is_file() || given.iter().any(|name| entry.file_name() == *name) {
                continue;
            }
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o640, "{}", entry.path().display());
        }
    }
}

/// A pipe with a name, from which a command reads until the returned file is dropped.
fn pipe(path: &Path) -> impl FnOnce() -> File + use<> {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let path = path.to_path_buf();
    // To open it waits until the command has opened it too: its handlers are there by then.
    move || File::options().write(true).open(path).unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn the_first_interrupt_ends_every_command_and_leaves_nothing() {
    for (line, name) in [
        ("clean PIPE out.jsonl", "pipe.jsonl"),
        ("clean seeds.jsonl out.jsonl --pool PIPE", "pipe.jsonl"),
        ("dedup PIPE new/out.jsonl", "pipe.jsonl"),
        ("dedup PIPE new/out.jsonl --method minhash", "pipe.jsonl"),
        ("convert MODEL new/out.gguf", "MODEL/config.json"),
        ("convert MODEL out --to onnx", "MODEL/config.json"),
        ("review seeds.jsonl out.jsonl --model MODEL", "MODEL/config.json"),
        ("generate seeds.jsonl out.jsonl --model MODEL", "MODEL/config.json"),
        ("eval task.toml --items out.jsonl --model MODEL", "MODEL/config.json"),
        ("eval PIPE --model TINY", "pipe.toml"),
        ("train sft PIPE out --model TINY", "pipe.jsonl"),
        ("train dpo seeds.jsonl out --model MODEL", "MODEL/config.json"),
    ] {
        for sent in ["-INT", "-TERM"] {
            let home = Home::new();
            copy_model(&home.path("MODEL"));
            let _ = fs::remove_file(home.path(name));
            let open = pipe(&home.path(name));
            let before = tree(&home.path(""));
            let child = home.command(&line.replace("PIPE", name)).stderr(Stdio::piped()).spawn().unwrap();
            let _kept_open = open();
            signal(&child, sent);
            let output = child.wait_with_output().unwrap();
            let stderr = text(&output.stderr);
            assert_eq!(output.status.code(), Some(130), "{line}: {stderr}");
            assert!(stderr.contains("interrupted"), "{line}: {stderr}");
            assert_eq!(tree(&home.path("")), before, "{line}");
            let cache = home.path("cache/converted");
            let is_scratch = |path: &Path| path.display().to_string().contains(".partial");
            assert!(!cache.exists() || !tree(&cache).keys().any(|path| is_scratch(path)), "{line}");
        }
    }
}

#[test]
fn work_that_asks_whether_to_stop_stops_in_order() {
    for (line, said) in [
        (
            "generate seeds.jsonl out.jsonl --what responses --count 2000 --model TINY --threads 1",
            "nothing was written",
        ),
        ("train sft seeds.jsonl out TRAIN --set train.epochs=10000", "interrupted after step"),
        (
            "train sft seeds.jsonl out TRAIN --set train.epochs=10000 --checkpoints steps",
            "the same command goes on",
        ),
    ] {
        let home = Home::new();
        let line = line.replace("TRAIN", TRAIN);
        let mut child = home.command(&line).stderr(Stdio::piped()).spawn().unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut all = String::new();
        // The work has begun when its first line is there.
        while !all.contains(": 0 of ") {
            assert_ne!(messages.read_line(&mut all).unwrap(), 0, "{line}: {all}");
        }
        signal(&child, "-INT");
        messages.read_to_string(&mut all).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{line}: {all}");
        assert!(all.contains(said), "{line}: {all}");
        assert!(home.is_clean() && !home.path("out").exists() && !home.path("out.jsonl").exists(), "{line}");
    }
}

#[test]
fn what_a_kill_leaves_is_removed_by_the_next_output() {
    let home = Home::new();
    let open = pipe(&home.path("pipe.jsonl"));
    let mut child = home.command("dedup pipe.jsonl out.jsonl").spawn().unwrap();
    let kept_open = open();
    child.kill().unwrap();
    child.wait().unwrap();
    drop(kept_open);
    assert!(!home.is_clean(), "the command had begun no output when it was killed");
    home.succeeds("clean seeds.jsonl another.jsonl");
    assert!(home.is_clean());
    assert!(home.path("thesis.txt").exists());
}

#[test]
fn a_reader_that_has_gone_ends_no_command() {
    for (line, name) in WRITERS {
        let home = Home::new();
        let line = line.replace("OUT", name).replace("TRAIN", TRAIN);
        for (number, json) in ["", "--json "].into_iter().enumerate() {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            let line = format!("{json}{line} --overwrite");
            let output =
                home.command(&line).stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
            assert_eq!(output.code(), Some(0), "{line}");
            assert!(home.path(name).exists(), "{line}");
            if number == 0 {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                let wrong = home.command("clean nothing.jsonl x.jsonl").stderr(writer).status().unwrap();
                assert_eq!(wrong.code(), Some(1));
            }
        }
    }
    let home = Home::new();
    for line in ["cache", "--json cache", "cache clear", "completions bash", "--help", "evolve --help"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = home.command(line).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
    }
    // A disk that is full is no reader that has gone.
    if let Ok(full) = File::options().write(true).open("/dev/full") {
        let output = home.command("--json cache").stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("cannot print"), "{}", text(&output.stderr));
    }
}

/// The cache as `lancer cache` shows it.
fn cache(home: &Home) -> Value {
    serde_json::from_slice(&home.succeeds("--json cache").stdout).unwrap()
}

/// Evaluates a folder, which llama.cpp can load only in another form.
fn evaluate(home: &Home, model: &str) -> Value {
    let output =
        home.succeeds(&format!("--json eval task.toml --model {model} --backend llama-cpp --threads 1"));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn copy_model(to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(TINY).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn a_converted_model_is_known_by_its_content() {
    let home = Home::new();
    copy_model(&home.path("model"));
    let first = evaluate(&home, "model");
    let entry = |number: usize| PathBuf::from(cache(&home)["entries"][number]["path"].as_str().unwrap());
    let inode = fs::metadata(entry(0).join("model.gguf")).unwrap().ino();
    assert_eq!(fs::metadata(home.path("cache/converted")).unwrap().permissions().mode() & 0o777, 0o700);
    // Moved, it is the same model.
    fs::rename(home.path("model"), home.path("moved")).unwrap();
    assert_eq!(evaluate(&home, "moved"), first);
    assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 1);
    assert_eq!(fs::metadata(entry(0).join("model.gguf")).unwrap().ino(), inode);
    // Edited with its times kept, it is another.
    let weights = home.path("moved/model.safetensors");
    let times = fs::metadata(&weights).unwrap().modified().unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize + 8;
    bytes[header..]
        .chunks_mut(4)
        .take(4000)
        .for_each(|weight| weight.copy_from_slice(&0.01_f32.to_le_bytes()));
    fs::write(&weights, bytes).unwrap();
    File::options().write(true).open(&weights).unwrap().set_modified(times).unwrap();
    assert_ne!(evaluate(&home, "moved"), first);
    assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 2);
    // An entry that is damaged is made again.
    fs::write(entry(0).join("model.gguf"), "planted").unwrap();
    copy_model(&home.path("model"));
    assert_eq!(evaluate(&home, "model"), first);
    let cleared: Value = serde_json::from_slice(&home.succeeds("--json cache clear").stdout).unwrap();
    assert_eq!((cleared["removed"].as_u64(), cleared["in_use"].as_u64()), (Some(2), Some(0)), "{cleared}");
    // The list of known files is there if any was old enough to be listed.
    let left: Vec<_> = tree(&home.path("cache/converted")).into_keys().collect();
    assert!(left.iter().all(|file| *file == home.path("cache/converted/known")), "{left:?}");
}

#[test]
fn processes_that_start_at_once_convert_once_and_none_fails() {
    for _ in 0..4 {
        let home = Home::new();
        let start = || {
            let mut command =
                home.command("--json eval task.toml --model TINY --backend llama-cpp --threads 1");
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let started: Vec<Child> = (0..3).map(|_| start()).collect();
        for child in started {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
        assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 1);
        assert!(home.is_clean());
    }
}

#[test]
fn the_cache_keeps_to_its_limit_and_to_what_is_in_use() {
    let home = Home::new();
    let bytes = {
        evaluate(&home, "TINY");
        cache(&home)["bytes"].as_u64().unwrap()
    };
    let other = format!("{FIXTURES}/tiny-qwen2");
    let limited = |limit: u64| {
        let line = format!("eval task.toml --model {other} --backend llama-cpp --threads 1");
        let output = home.command(&line).env("LANCER_CACHE_LIMIT", limit.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    // Room for both: both stay. Room for one: the one that was used longest ago goes.
    limited(bytes * 4);
    assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 2);
    home.succeeds("cache clear");
    evaluate(&home, "TINY");
    limited(bytes);
    let left = cache(&home);
    assert_eq!(left["entries"].as_array().unwrap().len(), 1);
    assert!(left["entries"][0]["source"].as_str().unwrap().ends_with("tiny-qwen2"), "{left}");
    // In use: a lock on the entry is what a process that runs the model holds.
    let entry = left["entries"][0]["path"].as_str().unwrap();
    let lock = File::open(format!("{entry}.lock")).unwrap();
    lock.lock_shared().unwrap();
    assert_eq!(cache(&home)["entries"][0]["in_use"], true);
    home.succeeds("cache clear");
    assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 1);
    drop(lock);
    home.succeeds("cache clear");
    assert_eq!(cache(&home)["entries"].as_array().unwrap().len(), 0);
    let wrong = home.command("cache").env("LANCER_CACHE_LIMIT", "much").output().unwrap();
    assert!(text(&wrong.stderr).contains("such as 500M or 20G"), "{}", text(&wrong.stderr));
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

/// A user without any rights.
const NOBODY: u32 = 65534;

#[test]
fn a_cache_folder_of_another_user_is_not_used() {
    if !is_root() {
        lancer_skipped::skip!("only the superuser can give a folder to another user");
        return;
    }
    let home = Home::new();
    let planted = home.path("cache/converted");
    fs::create_dir_all(&planted).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::chown(&planted, Some(NOBODY), None).unwrap();
    home.refuses("eval task.toml --model TINY --backend llama-cpp", 1, "belongs to another user");
    home.refuses("cache", 1, "set LANCER_CACHE");
}

/// Runs a command as somebody who cannot write into folders of others.
fn without_rights(home: &Home, line: &str) -> Output {
    let wanted = home.command(line);
    let mut command = if is_root() {
        // The binary may lie where only the superuser gets to.
        let program = home.path("lancer-binary");
        if !program.exists() {
            fs::copy(wanted.get_program(), &program).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
            fs::set_permissions(home.path(""), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(program);
        command.args(wanted.get_args()).uid(NOBODY).gid(NOBODY);
        command
    } else {
        wanted
    };
    command.current_dir(home.path("")).output().unwrap()
}

fn set_modes(folder: &Path, mode: u32, mode_of_files: u32) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            set_modes(&entry.path(), mode, mode_of_files);
        } else {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode_of_files)).unwrap();
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_run_that_cannot_be_written_can_be_reported_on() {
    let home = Home::new();
    let line = "evolve --seeds seeds.jsonl --model TINY --run the-run --review likelihood --iterations 1 --threads 1 \
                --set review.calibration_seeds=6 --set sft.max_examples=0 --set preference.max_pairs=0 \
                --set expand.sources=1 --set expand.prompts=1 --set expand.responses=1 \
                --set expand.worse_responses=1 --set generate.max_response_tokens=4";
    let mut child = home.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Killed once it has written rows, which are then in the log only.
    while !home.path("the-run/models/m0.gguf").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it was killed");
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // Of a copy, since who can write closes the log.
    let copied =
        Command::new("cp").args(["-r", "the-run", "the-copy"]).current_dir(home.path("")).status().unwrap();
    assert!(copied.success());
    let summary = |output: &Output, run: &str| text(&output.stdout).replace(run, "RUN");
    let killed = summary(&home.succeeds("--json report the-copy"), "the-copy");
    fs::create_dir(home.path("reports")).unwrap();
    fs::set_permissions(home.path("reports"), fs::Permissions::from_mode(0o777)).unwrap();

    // With the index beside the log and without, and after the run has ended.
    for (state, name) in ["with index", "without index", "ended"].into_iter().zip(["one", "two", "three"]) {
        let mut expected = killed.clone();
        match state {
            "without index" => fs::remove_file(home.path("the-run/ledger.sqlite-shm")).unwrap(),
            "ended" => {
                home.succeeds(line);
                expected = summary(&home.succeeds("--json report the-run"), "the-run");
                fs::remove_file(home.path("the-run/report.html")).unwrap();
            }
            _ => {}
        }
        set_modes(&home.path("the-run"), 0o555, 0o444);
        let before = tree(&home.path("the-run"));
        let output = without_rights(&home, "--json report the-run");
        assert!(output.status.success(), "{state}: {}", text(&output.stderr));
        assert_eq!(summary(&output, "the-run"), expected, "{state}");
        assert!(text(&output.stderr).contains("--out FILE"), "{state}: {}", text(&output.stderr));
        let output = without_rights(&home, &format!("report the-run --out reports/{name}.html"));
        assert!(output.status.success(), "{state}: {}", text(&output.stderr));
        assert!(
            fs::read_to_string(home.path(&format!("reports/{name}.html"))).unwrap().ends_with("</html>\n")
        );
        let again = without_rights(&home, &format!("report the-run --out reports/{name}.html"));
        assert_eq!(again.status.code(), Some(2), "{state}");
        assert_eq!(tree(&home.path("the-run")), before, "{state}");
        set_modes(&home.path("the-run"), 0o755, 0o644);
    }
}
