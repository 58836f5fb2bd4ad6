//! The page itself: built at development time (`page/`), part of the program.

use crate::http::Reply;

const HTML: &str = include_str!("../page/dist/index.html");
const SCRIPT: &str = include_str!("../page/dist/page.js");
const STYLE: &str = include_str!("../page/dist/page.css");

const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M2 14 13 3M8 2h6v6" fill="none" stroke="#2a5ca8" stroke-width="2.5"/></svg>"##;

/// The file of the page at an address.
pub(crate) fn file(path: &str) -> Option<Reply> {
    Some(match path {
        "/" => Reply::of("text/html; charset=utf-8", HTML),
        "/page.js" => Reply::of("text/javascript; charset=utf-8", SCRIPT),
        "/page.css" => Reply::of("text/css; charset=utf-8", STYLE),
        "/icon.svg" => Reply::of("image/svg+xml", ICON),
        _ => return None,
    })
}
