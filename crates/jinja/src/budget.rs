//! How much a rendering may do.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use minijinja::{
    Error, ErrorKind, State, Value,
    value::{Object, ValueKind},
};

/// The instructions that a rendering may execute. A chat of a thousand messages takes some hundred thousand.
pub const MAX_STEPS: u64 = 2_000_000;
/// The longest text that a template may make, its output included.
pub const MAX_VALUE_BYTES: u64 = 64 << 20;
/// The bytes that the operators, filters and methods of a rendering may read and write together.
pub const MAX_WORK_BYTES: u64 = 256 << 20;

/// Lists may hold lists so many levels deep: dropping and printing them recurses.
const MAX_DEPTH: usize = 64;
/// What a value takes beside its text.
const VALUE_BYTES: u64 = 16;
/// The name under which a rendering's budget is kept.
const NAME: &str = "lancer_budget";

/// What is left of the work that a rendering may do.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Object for Budget {}

impl Budget {
    /// The budget of the rendering that `state` belongs to.
    pub(crate) fn of(state: &State<'_, '_>) -> Arc<Self> {
        state.get_or_set_temp_object(NAME, || Self(AtomicU64::new(MAX_WORK_BYTES)))
    }

    /// Draws on the budget before work over so many bytes is done.
    pub(crate) fn charge(&self, bytes: u64) -> Result<(), Error> {
        let drawn = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        drawn.map(|_| ()).map_err(|_| {
            refused(format!("the template does work over more than {MAX_WORK_BYTES} bytes of text and lists"))
        })
    }

    /// Draws on the budget for the reading of `values`.
    pub(crate) fn charge_values(&self, values: &[Value]) -> Result<(), Error> {
        for value in values {
            self.charge(size(value, MAX_DEPTH)?)?;
        }
        Ok(())
    }

    /// Draws on the budget for a text or list that is about to be made.
    pub(crate) fn charge_growth(&self, bytes: u64) -> Result<(), Error> {
        if bytes > MAX_VALUE_BYTES {
            return Err(refused(format!(
                "the template makes a text or list of {bytes} bytes; at most {MAX_VALUE_BYTES} are made"
            )));
        }
        self.charge(bytes)
    }
}

/// The bytes of a value with all that is in it, at most a little more than a template may make.
pub(crate) fn size(value: &Value, depth: usize) -> Result<u64, Error> {
    let mut bytes = VALUE_BYTES;
    match value.kind() {
        ValueKind::String => bytes += value.as_str().map_or(0, str::len) as u64,
        ValueKind::Bytes => bytes += value.as_bytes().map_or(0, <[u8]>::len) as u64,
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(refused(format!("the template nests lists more than {MAX_DEPTH} levels deep")));
            };
            let is_map = value.kind() == ValueKind::Map;
            for item in value.try_iter()? {
                if is_map {
                    bytes += size(&value.get_item(&item)?, depth)?;
                }
                bytes += size(&item, depth)?;
                if bytes > MAX_VALUE_BYTES {
                    return Ok(bytes);
                }
            }
        }
        _ => {}
    }
    Ok(bytes)
}

/// Checks that a value is nested no deeper than is safe, and draws on the budget for it.
pub(crate) fn made(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    Budget::of(state).charge_growth(size(&value, MAX_DEPTH)?)?;
    Ok(value)
}

/// Asks for leave to make a text or list of so many bytes: for filters and functions of one's own whose results may be long.
///
/// # Errors
/// Where it is longer than [`MAX_VALUE_BYTES`], or the rendering has used up its [`MAX_WORK_BYTES`].
pub fn charge(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    Budget::of(state).charge_growth(bytes as u64)
}

/// Asks for leave to read all that is in a value, before it is read: for filters and functions of one's own that look into lists
/// and maps. A value that holds itself is refused here.
///
/// # Errors
/// Where it is nested too deep, or the rendering has used up its [`MAX_WORK_BYTES`].
pub fn charge_reading(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    Budget::of(state).charge_values(std::slice::from_ref(value))
}

/// An error of a template that asks for too much.
pub(crate) fn refused(reason: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}
