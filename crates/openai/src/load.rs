//! Keeping servers busy: which server gets a request, how many are in flight, and what is sent again.

mod dispatch;
mod limit;
mod pool;
mod retry;

pub(crate) use self::{
    dispatch::dispatch,
    retry::{Exchange, Failed, Servers},
};
