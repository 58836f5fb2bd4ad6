//! Finding ONNX Runtime's library at run time.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
};

use ort::environment::Environment;

/// The environment variable that says where the library is.
pub const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The library's name, as the system's loader looks for it.
const NAME: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// ONNX Runtime cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LibraryError {
    /// No library was found, or none that can be loaded.
    #[error(
        "ONNX Runtime was not found ({tried}). There are three ways to get it: set {LIBRARY_VARIABLE} to its library, such \
         as /opt/onnxruntime/lib/{NAME}; install it where the system's loader looks for {NAME}; or run `cargo xtask setup`, \
         which takes it from PyPI into lancer's cache folder"
    )]
    NotFound {
        /// Each place, and what was wrong there.
        tried: String,
    },
    /// It was loaded, and could not be started.
    #[error("ONNX Runtime cannot be started: {0}")]
    Environment(String),
}

/// ONNX Runtime, loaded and started once for the process. After a failure the next call tries again.
pub(super) fn environment() -> Result<&'static Environment, LibraryError> {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let started = start()?;
    Ok(ENVIRONMENT.get_or_init(|| started))
}

fn start() -> Result<Environment, LibraryError> {
    let mut tried = Vec::new();
    for path in places() {
        match ort::environment::init_from(&path) {
            Ok(builder) => {
                return builder
                    .with_telemetry(false)
                    .build()
                    .map_err(|error| LibraryError::Environment(error.message().into()));
            }
            Err(error) => tried.push(format!("{}: {error}", path.display())),
        }
    }
    Err(LibraryError::NotFound { tried: tried.join("; ") })
}

/// Where the library may be: what the user says, alone; else where `cargo xtask setup` keeps it, then the system's.
///
/// The kept one comes first: its version is known to work.
fn places() -> Vec<PathBuf> {
    if let Some(path) = env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let mut places: Vec<PathBuf> =
        cache_folder().map(|folder| kept(&folder)).filter(|path| path.exists()).into_iter().collect();
    places.push(NAME.into());
    places
}

/// Where `cargo xtask setup` keeps the library in lancer's cache folder.
fn kept(cache: &Path) -> PathBuf {
    cache.join("onnxruntime").join(NAME)
}

/// The user's cache folder for lancer.
fn cache_folder() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("lancer"))
}
