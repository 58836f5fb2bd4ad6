//! `cargo xtask dist`: an archive and a wheel that run on other machines than the one that made them.

mod wheel;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    parts::Parts,
    process::{Failure, output, run as run_program},
    setup::{Environment, root},
};

/// The files of the project that an archive holds beside the binary and what the binary writes of itself.
const DOCUMENTS: [&str; 4] = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"];
/// The shells whose completions an archive holds, each with its file's name there.
const SHELLS: [(&str, &str); 5] = [
    ("bash", "lancer.bash"),
    ("elvish", "lancer.elv"),
    ("fish", "lancer.fish"),
    ("powershell", "lancer.ps1"),
    ("zsh", "_lancer"),
];

/// What is to be packed.
pub(crate) struct Build {
    /// The binary.
    binary: PathBuf,
    /// The kind of machine that it is for, as rustc names it.
    triple: String,
    version: String,
    /// What cargo is called with, so that maturin finds everything built.
    variables: Vec<(&'static str, String)>,
    /// Whether the binary was given, and maturin must not have one built.
    is_given: bool,
}

/// Builds the binary for any processor of this kind (x86-64-v3, or aarch64), packs it, and installs the wheel in an empty
/// virtual environment. With `--prebuilt PATH` a binary that exists is packed, whatever it was built for.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let given = match arguments {
        [] => None,
        [flag, path] if flag == "--prebuilt" => Some(PathBuf::from(path)),
        _ => {
            return Err(Failure::usage(
                "`cargo xtask dist` takes nothing but `--prebuilt PATH`, a binary to pack",
            ));
        }
    };
    let mut parts = Parts::default();
    let environment = parts.run("set-up", Environment::prepare)?;
    let build = match given {
        Some(binary) => Build::of(&binary)?,
        None => parts.run("build", || Build::portable(&environment))?,
    };
    let folder = environment.target().join("dist");
    fs::create_dir_all(&folder).map_err(|error| failed("make", &folder, &error))?;
    let archive = parts.run("archive", || archive(&build, &folder))?;
    let wheel = parts.run("wheel", || wheel::make(&environment, &build, &folder))?;
    parts.run("wheel in an empty environment", || wheel::check(&environment, &build, &wheel))?;
    println!("{}\n{}", archive.display(), wheel.display());
    eprintln!("{}", parts.times());
    Ok(())
}

impl Build {
    /// Builds the binary in a target folder of its own, since everything is compiled with other flags.
    fn portable(environment: &Environment) -> Result<Self, Failure> {
        let target = environment.target().join("portable");
        let triple = host()?;
        // Set in any case: an empty variable puts the flags of .cargo/config.toml out of force too.
        let flags = processor(&triple).map_or_else(String::new, |cpu| format!("-C target-cpu={cpu}"));
        let variables = vec![("CARGO_TARGET_DIR", target.display().to_string()), ("RUSTFLAGS", flags)];
        let mut cargo = environment.cargo();
        cargo.args(["build", "--release", "--locked", "--package", "lancer"]).envs(variables.clone());
        run_program(&mut cargo)?;
        let binary = target.join("release").join(format!("lancer{}", env::consts::EXE_SUFFIX));
        Ok(Self { version: version(&binary)?, binary, triple, variables, is_given: false })
    }

    /// A binary that was built elsewhere.
    fn of(binary: &Path) -> Result<Self, Failure> {
        let binary = fs::canonicalize(binary).map_err(|error| failed("find", binary, &error))?;
        Ok(Self {
            version: version(&binary)?,
            binary,
            triple: host()?,
            variables: Vec::new(),
            is_given: true,
        })
    }
}

/// The oldest processors that a binary for x86-64 is built for; for other kinds rustc's own choice, which llama.cpp's build
/// would not understand by name. What is newer is looked for at run time.
fn processor(triple: &str) -> Option<&'static str> {
    // AVX2 and FMA: Intel's from 2013, AMD's from 2015 on.
    triple.starts_with("x86_64-").then_some("x86-64-v3")
}

/// The kind of machine this is.
fn host() -> Result<String, Failure> {
    let rustc = output(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"));
    let host =
        rustc.and_then(|text| Some(text.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned()));
    host.ok_or_else(|| Failure::new("`rustc -vV` does not say what machine this is"))
}

/// The version that a binary says it has.
fn version(binary: &Path) -> Result<String, Failure> {
    let said = output(Command::new(binary).arg("--version"));
    let version = said.as_deref().and_then(|said| said.strip_prefix("lancer "));
    version.map(str::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "{} does not run here, or is no lancer: `--version` gives {said:?}",
            binary.display()
        ))
    })
}

/// Packs the binary with its documents, completions and manual pages.
fn archive(build: &Build, folder: &Path) -> Result<PathBuf, Failure> {
    let name = format!("lancer-{}-{}", build.version, build.triple);
    let packed = folder.join(&name);
    if packed.exists() {
        fs::remove_dir_all(&packed).map_err(|error| failed("empty", &packed, &error))?;
    }
    let completions = packed.join("completions");
    fs::create_dir_all(&completions).map_err(|error| failed("make", &completions, &error))?;
    let copy = |from: &Path| {
        let to = packed.join(from.file_name().unwrap_or_default());
        fs::copy(from, &to).map_err(|error| failed("write", &to, &error))
    };
    copy(&build.binary)?;
    for document in DOCUMENTS {
        copy(&root().join(document))?;
    }
    for (shell, file) in SHELLS {
        let script = output(Command::new(&build.binary).args(["completions", shell]));
        let script =
            script.ok_or_else(|| Failure::new(format!("the binary has no completions for {shell}")))?;
        let file = completions.join(file);
        fs::write(&file, script + "\n").map_err(|error| failed("write", &file, &error))?;
    }
    run_program(Command::new(&build.binary).args(["man", "--out"]).arg(packed.join("man")))?;
    let archive = folder.join(format!("{name}.tar.gz"));
    run_program(Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(folder).arg(&name))?;
    fs::remove_dir_all(&packed).map_err(|error| failed("remove", &packed, &error))?;
    Ok(archive)
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {action} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_machine_has_its_oldest_processor() {
        assert_eq!(processor("x86_64-unknown-linux-gnu"), Some("x86-64-v3"));
        assert_eq!(processor("aarch64-apple-darwin"), None);
    }
}
