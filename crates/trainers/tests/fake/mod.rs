//! An environment with a program that behaves as `trl` does, on its command line and in what it writes: a shell script.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What the program does instead of training.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    /// It writes a model of which one weight has changed.
    Trains,
    /// It prints a cause and fails.
    Fails,
    /// It is killed after its first step.
    IsKilled,
    /// It trains for ever, and writes `asked-to-end` into its folder when it is asked to end.
    WaitsToBeEnded,
    /// One weight is no number.
    WritesNan,
    /// The weights are what they were.
    WritesTheSame,
    /// The weights are those of another model.
    WritesOtherShapes,
    /// It writes no model.
    WritesNothing,
    /// It writes the adapter that is in this crate's test folder beside the environment.
    WritesAdapter,
    /// It saves a checkpoint with exact numbers after two steps, and fails; the next time it goes on from there.
    FailsAfterCheckpoint,
}

impl Behaviour {
    /// The script, after the steps and the output folder are known.
    fn script(self, environment: &Path) -> String {
        let change = |bytes: &str| {
            format!(
                "mkdir -p \"$output\" && cp -RL \"$model\"/. \"$output\" && chmod -R u+w \"$output\"\n\
                 size=$(wc -c < \"$output\"/model.safetensors)\n\
                 printf '{bytes}' | dd of=\"$output\"/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc 2> /dev/null\n"
            )
        };
        let steps = "step 1 2.5; step 2 2.25; step 3 2.125\n";
        match self {
            // 1.0 as a 32-bit float; 2.0 in preference training, which starts from the fine-tuned model.
            Self::Trains => {
                let (one, two) = (change("\\000\\000\\200\\077"), change("\\000\\000\\000\\100"));
                format!("{steps}if [ $1 = sft ]; then\n{one}else\n{two}fi\n")
            }
            Self::WritesNan => format!("{steps}{}", change("\\000\\000\\300\\177")),
            Self::Fails => "echo 'torch.OutOfMemoryError: CUDA out of memory' >&2; exit 3\n".into(),
            Self::IsKilled => "step 1 2.5; kill -9 $$\n".into(),
            Self::WaitsToBeEnded => {
                "trap 'echo yes > asked-to-end; exit 143' TERM\nstep 1 2.5\nwhile true; do sleep 0.1; done\n"
                    .into()
            }
            Self::WritesTheSame => {
                format!("{steps}mkdir -p \"$output\" && cp -RL \"$model\"/. \"$output\"\n")
            }
            Self::WritesOtherShapes => {
                let other = fixture("tiny-qwen3");
                format!(
                    "{steps}mkdir -p \"$output\" && cp {}/model.safetensors \"$output\"\n",
                    other.display()
                )
            }
            Self::WritesNothing => steps.into(),
            Self::WritesAdapter => {
                format!("{steps}mkdir -p \"$output\" && cp {}/adapter/* \"$output\"\n", environment.display())
            }
            Self::FailsAfterCheckpoint => format!(
                "if grep -q resume_from_checkpoint \"$config\"; then\n\
                   step 3 2.125\n{}\
                 else\n\
                   step 1 2.5; step 2 2.25\n\
                   mkdir -p \"$output\"/checkpoint-2\n\
                   echo '{{\"log_history\": [{{\"step\": 1, \"loss\": 2.50001, \"grad_norm\": 1.5, \"learning_rate\": 0.0}}, \
                        {{\"step\": 2, \"loss\": 2.25001, \"grad_norm\": 1.5, \"learning_rate\": 1e-5}}]}}' \
                        > \"$output\"/checkpoint-2/trainer_state.json\n\
                   exit 1\n\
                 fi\n",
                change("\\000\\000\\200\\077")
            ),
        }
    }
}

/// A folder of the workspace's fixtures.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Writes a program of the environment in a folder; gives its path.
pub(crate) fn write_program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let bin = folder.join("environment/bin");
    fs::create_dir_all(&bin).unwrap();
    // Not written in place: a process may just be running it.
    let (new, path) = (bin.join(format!("{name}.new")), bin.join(name));
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&new, &path).unwrap();
    path
}

/// Makes an environment whose `trl` behaves so; gives its Python.
pub(crate) fn environment(folder: &Path, behaviour: Behaviour) -> PathBuf {
    let head = "#!/bin/sh\nconfig=$3\n\
                output=$(sed -n 's/^output_dir: \"\\(.*\\)\"/\\1/p' \"$config\")\n\
                model=$(sed -n 's/^model_name_or_path: \"\\(.*\\)\"/\\1/p' \"$config\")\n\
                step() { echo \"{'loss': '$2', 'grad_norm': '1.5', 'learning_rate': '1e-05', 'epoch': '0.$1'}\"; }\n\
                echo \"called with $*\"\n";
    let script = behaviour.script(&folder.join("environment"));
    write_program(folder, "trl", &format!("{head}{script}"));
    let versions = "#!/bin/sh\necho '{\"python\": \"3.11.7\", \"trl\": \"1.16.0\", \"torch\": \"2.15.0\"}'\n";
    write_program(folder, "python", versions)
}
