//! ONNX Runtime, which the ONNX engine loads at run time: the library in the PyPI package of its name.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    checksum::check,
    process::{Failure, run},
    setup::{cache_folder, pip},
};

/// The environment variable that says where the library is.
pub(crate) const VARIABLE: &str = "ORT_DYLIB_PATH";

const VERSION: &str = "1.32.0";

/// The package for one kind of machine. The library in it does not depend on Python's version.
struct Package {
    system: &'static str,
    processor: &'static str,
    /// As pip names it.
    platform: &'static str,
    /// The library within the package.
    library: &'static str,
    sha_256: &'static str,
    /// Its name for the system's loader, and for lancer.
    name: &'static str,
}

const PACKAGES: [Package; 4] = [
    Package {
        system: "linux",
        processor: "x86_64",
        platform: "manylinux_2_28_x86_64",
        library: "libonnxruntime.so.1.32.0",
        sha_256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        name: "libonnxruntime.so",
    },
    Package {
        system: "linux",
        processor: "aarch64",
        platform: "manylinux_2_28_aarch64",
        library: "libonnxruntime.so.1.32.0",
        sha_256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        name: "libonnxruntime.so",
    },
    Package {
        system: "macos",
        processor: "aarch64",
        platform: "macosx_14_0_arm64",
        library: "libonnxruntime.1.32.0.dylib",
        sha_256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
        name: "libonnxruntime.dylib",
    },
    Package {
        system: "windows",
        processor: "x86_64",
        platform: "win_amd64",
        library: "onnxruntime.dll",
        sha_256: "bf0927ca8efb68ad67f6cad3851641dc78e21a687a3fd959ae262d3252e9fa0a",
        name: "onnxruntime.dll",
    },
];

/// The library in the cache folder, where lancer looks for it, fetched where it is not there, its checksum verified in any
/// case. `None`, with a note, where PyPI has none for this machine or cannot be reached: all but the ONNX engine works.
pub(crate) fn fetch(target: &Path) -> Result<Option<PathBuf>, Failure> {
    let this = |package: &&Package| {
        package.system == std::env::consts::OS && package.processor == std::env::consts::ARCH
    };
    let Some(package) = PACKAGES.iter().find(this) else {
        eprintln!(
            "note: PyPI has no ONNX Runtime for this machine; set {VARIABLE} to one to run ONNX models"
        );
        return Ok(None);
    };
    let folder = cache_folder().unwrap_or_else(|| target.to_path_buf()).join("onnxruntime");
    let library = folder.join(package.name);
    if library.exists() {
        check(&library, package.sha_256)?;
        return Ok(Some(library));
    }
    let unpacked = target.join("tools/onnxruntime");
    eprintln!("getting ONNX Runtime {VERSION}, 28 MB, from PyPI");
    if let Err(failure) = download(&format!("onnxruntime=={VERSION}"), package.platform, &unpacked) {
        eprintln!("note: {failure}; set {VARIABLE} to an ONNX Runtime to run ONNX models");
        return Ok(None);
    }
    let fetched = unpacked.join("onnxruntime/capi").join(package.library);
    check(&fetched, package.sha_256)?;
    let keep = || {
        fs::create_dir_all(&folder)?;
        // Copied beside its place first, so that a half-written file never stands under its name.
        let unfinished = folder.join(format!("{}.unfinished", package.name));
        fs::copy(&fetched, &unfinished)?;
        fs::rename(&unfinished, &library)?;
        fs::remove_dir_all(&unpacked)
    };
    keep().map_err(|error: io::Error| {
        Failure::new(format!("cannot keep ONNX Runtime as {}: {error}", library.display()))
    })?;
    Ok(Some(library))
}

/// Unpacks a package of PyPI's, such as `onnxruntime==1.32.0`, for a platform, as pip names it, into a folder.
pub(crate) fn download(package: &str, platform: &str, to: &Path) -> Result<(), Failure> {
    run(pip()
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"])
        .args(["--python-version", "3.13", "--platform", platform, "--dest"])
        .arg(to)
        .arg(package))?;
    let wheel = fs::read_dir(to)
        .ok()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .ok_or_else(|| Failure::new(format!("pip left no package in {}", to.display())))?;
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(to))
}
