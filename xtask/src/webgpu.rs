//! What the ONNX engine's tests on a graphics card need: an ONNX Runtime with WebGPU, and a driver for Vulkan.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    checksum::check,
    onnxruntime,
    process::{Failure, output, run},
};

const PACKAGE: &str = "onnxruntime-webgpu==1.27.0";
const LIBRARY: &str = "libonnxruntime.so.1.27.0";
const SHA_256: &str = "882f54a76dde1b6c7e66ed353f29bf167c2a2d4e77875b093205074b31d2c7f4";

/// Debian's package with `SwiftShader`, a driver in software: the one in Debian 12's Mesa lacks what WebGPU asks for.
const DRIVER_PACKAGE: &str = "chromium-common";
const DRIVER: &str = "usr/lib/chromium/vk_swiftshader_icd.json";
/// The variable that names a driver.
const DRIVER_VARIABLE: &str = "VK_ICD_FILENAMES";

/// The variables that name both.
type Variables = Vec<(&'static str, OsString)>;

/// Gets both into the target folder. The inner error is the reason why the tests cannot be run. `apt-get update`, which
/// changes the system's lists of packages, is called only where `installs` allows it.
pub(crate) fn prepare(target: &Path, installs: bool) -> Result<Result<Variables, String>, Failure> {
    if (env::consts::OS, env::consts::ARCH) != ("linux", "x86_64") {
        return Ok(Err("they are for Linux on x86-64".into()));
    }
    let folder = target.join("tools/webgpu");
    let library = folder.join("onnxruntime/capi").join(LIBRARY);
    if !library.exists() {
        eprintln!("getting {PACKAGE}, 25 MB, from PyPI");
        onnxruntime::download(PACKAGE, "manylinux_2_28_x86_64", &folder)?;
    }
    check(&library, SHA_256)?;
    let mut variables = vec![(onnxruntime::VARIABLE, library.into_os_string())];
    // Without Debian's packages the tests run on the driver that there is.
    if env::var_os(DRIVER_VARIABLE).is_none() && output(Command::new("apt-get").arg("--version")).is_some() {
        match driver(&folder, installs) {
            Ok(driver) => variables.push((DRIVER_VARIABLE, driver.into_os_string())),
            Err(failure) => return Ok(Err(format!("Debian's SwiftShader is not to be had: {failure}"))),
        }
    }
    Ok(Ok(variables))
}

/// `SwiftShader`'s description for Vulkan's loader, which lies beside the driver.
fn driver(folder: &Path, installs: bool) -> Result<PathBuf, Failure> {
    let driver = folder.join(DRIVER);
    if driver.exists() {
        return Ok(driver);
    }
    eprintln!("getting SwiftShader, 32 MB, from Debian");
    let download = || {
        run(Command::new("apt-get")
            .args(["download", "--quiet", "--quiet", DRIVER_PACKAGE])
            .current_dir(folder))
    };
    if let Err(failure) = download() {
        if !installs {
            return Err(failure);
        }
        run(Command::new("apt-get").args(["update", "--quiet", "--quiet"]))?;
        download()?;
    }
    let found = fs::read_dir(folder)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", folder.display())))?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .ok_or_else(|| Failure::new(format!("apt-get left no package in {}", folder.display())))?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&found).arg(folder))?;
    if driver.exists() {
        return Ok(driver);
    }
    Err(Failure::new(format!(
        "{} does not hold {DRIVER}; name another driver by {DRIVER_VARIABLE}",
        found.display()
    )))
}
