//! A driver for Vulkan, without which Burn's wgpu device cannot be tested on Linux.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process::{Failure, output, run};

/// Where drivers say that they are there, and the variables that name others.
const FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
const VARIABLES: [&str; 3] = ["VK_DRIVER_FILES", "VK_ADD_DRIVER_FILES", "VK_ICD_FILENAMES"];

/// The loader, and drivers with one among them that computes on the processor.
const PACKAGES: [&str; 2] = ["libvulkan1", "mesa-vulkan-drivers"];

/// Makes sure that there is a driver: on Debian and its like one in software is installed where `installs` allows it. The inner
/// error is the reason why there is none. Other systems than Linux have graphics of their own.
pub(crate) fn prepare(installs: bool) -> Result<Result<(), String>, Failure> {
    if env::consts::OS != "linux" || is_there() {
        return Ok(Ok(()));
    }
    let is_root = output(Command::new("id").arg("-u")).is_some_and(|user| user == "0");
    if !installs || !is_root || output(Command::new("apt-get").arg("--version")).is_none() {
        return Ok(Err(format!(
            "there is no Vulkan driver; install that of the graphics card, or one in software (Debian: `apt-get install {}`; \
             `cargo xtask test --install-driver` does it as root)",
            PACKAGES.join(" ")
        )));
    }
    eprintln!("installing a Vulkan driver in software by apt-get: {}", PACKAGES.join(", "));
    run(Command::new("apt-get").args(["update", "--quiet", "--quiet"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--quiet", "--quiet", "--yes", "--no-install-recommends"])
        .args(PACKAGES))?;
    Ok(Ok(()))
}

fn is_there() -> bool {
    let has_driver = |folder: &Path| {
        folder.read_dir().is_ok_and(|mut files| {
            files.any(|file| {
                file.is_ok_and(|file| file.path().extension().is_some_and(|ending| ending == "json"))
            })
        })
    };
    let own = env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share/vulkan/icd.d"));
    let has_loader =
        output(Command::new("ldconfig").arg("-p")).is_none_or(|known| known.contains("libvulkan.so.1"));
    let is_named = VARIABLES.iter().any(|name| env::var_os(name).is_some());
    has_loader && (is_named || FOLDERS.iter().map(PathBuf::from).chain(own).any(|folder| has_driver(&folder)))
}
