//! A local web page over the runs below a folder.
//!
//! * [`serve`] answers until it is told to stop. [`ServeSettings`] says where and to whom.
//! * [`Program`] is what the page needs of the program around it: starting and stopping runs, and models that answer. This crate
//!   knows no engine.
//! * Who may ask is decided in one place, before anything is looked up (`guard.rs`).
//! * What a view shows comes from [`lancer_evolve::view`], which the terminal shows too; figures are drawn by the scripts of the
//!   report (`page/`).
//!
//! Nothing but the runs below the folder can be read, and of those only the ledger.

use std::fmt::Write as _;

mod api;
mod app;
mod error;
mod feed;
mod guard;
mod http;
mod page;
mod program;
mod server;
mod started;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::net::TcpListener;

use self::{app::App, guard::Guard};
pub use self::{
    error::ServeError,
    program::{Program, Talk, TalkTurn},
};

/// How often it is asked whether to stop.
const STOP_EVERY: Duration = Duration::from_millis(200);

/// At most so many questions are answered by reading ledgers at the same time; others wait.
const READERS: usize = 8;

/// Where the page is, and who may see it.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The folder whose runs are shown.
    pub folder: PathBuf,
    /// The address and the port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Has to be given with every request. An address that other machines reach needs one.
    pub token: Option<String>,
    /// Names under which a browser may ask for the page, beside the address and, on this machine, `localhost`.
    pub hosts: Vec<String>,
    /// Under which name judgements are written where the page says no other.
    pub person: String,
}

/// A token that cannot be guessed: 32 hexadecimal digits.
///
/// # Errors
/// Where the system gives no random bytes.
pub fn new_token() -> Result<String, ServeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ServeError::Random(error.to_string()))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Answers requests until `stop` says so. `ready` is called with the address once requests are taken.
///
/// # Errors
/// [`ServeError::NoToken`] for an address that other machines reach without a token, and where the folder cannot be read or the
/// address cannot be used.
pub fn serve(
    settings: ServeSettings,
    program: Arc<dyn Program>,
    ready: impl FnOnce(SocketAddr),
    stop: impl Fn() -> bool,
) -> Result<(), ServeError> {
    if settings.token.is_none() && !settings.address.ip().is_loopback() {
        return Err(ServeError::NoToken { address: settings.address });
    }
    let folder = settings
        .folder
        .canonicalize()
        .map_err(|source| ServeError::Folder { path: settings.folder.clone(), source })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(READERS)
        .build()
        .map_err(|source| ServeError::Listen { address: settings.address, source })?;
    let served = runtime.block_on(async {
        let failed = |source| ServeError::Listen { address: settings.address, source };
        let listener = TcpListener::bind(settings.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let guard = Guard::new(address, settings.token, settings.hosts);
        let app = Arc::new(App::new(folder, settings.person, program));
        ready(address);
        tokio::spawn(server::listen(listener, app, guard));
        while !stop() {
            tokio::time::sleep(STOP_EVERY).await;
        }
        Ok(())
    });
    // A question that is being answered is not waited for.
    runtime.shutdown_background();
    served
}
