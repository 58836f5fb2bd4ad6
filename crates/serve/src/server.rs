//! Connections: one request each, with an end to everybody's patience.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    api,
    app::App,
    error::ApiError,
    feed::Feed,
    guard::{Guard, HEADERS},
    http::{Answer, Reply, Request},
};

/// So many connections are open at the same time; others wait until one ends.
const CONNECTIONS: usize = 512;
/// A request has come within this time.
const READING: Duration = Duration::from_secs(20);
/// Some of an answer is taken within this time, or the connection ends.
const WRITING: Duration = Duration::from_secs(30);
/// Those who watch are written something so often, so that it is seen who has gone.
const ALIVE: Duration = Duration::from_secs(15);
/// An answer is written in pieces of so many bytes.
const PIECE: usize = 64 << 10;

/// Takes connections for ever.
pub(crate) async fn listen(listener: TcpListener, app: Arc<App>, guard: Arc<Guard>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, for example: it passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (app, guard) = (Arc::clone(&app), Arc::clone(&guard));
        tokio::spawn(async move {
            connection(stream, app, &guard).await;
            drop(place);
        });
    }
}

async fn connection(mut stream: TcpStream, app: Arc<App>, guard: &Guard) {
    let answer = match timeout(READING, Request::read(&mut stream)).await {
        Err(_) | Ok(Ok(None)) => return,
        Ok(Err(error)) => Answer::Whole(error.reply()),
        Ok(Ok(Some(request))) => match guard.visit(&request) {
            Some(reply) => Answer::Whole(reply),
            None => match guard.check(&request) {
                Ok(()) => {
                    api::answer(app, request).await.unwrap_or_else(|error| Answer::Whole(error.reply()))
                }
                Err(error) => Answer::Whole(error.reply()),
            },
        },
    };
    // A connection that breaks is the other side's affair.
    let _ = match answer {
        Answer::Whole(reply) => whole(&mut stream, reply).await,
        Answer::Events(feed) => events(&mut stream, feed).await,
    };
}

async fn whole(stream: &mut TcpStream, mut reply: Reply) -> Option<()> {
    reply.headers.extend(HEADERS.map(|(name, value)| (name, value.to_owned())));
    write(stream, reply.head().as_bytes()).await?;
    write(stream, &reply.body).await?;
    stream.shutdown().await.ok()
}

async fn events(stream: &mut TcpStream, mut feed: Feed) -> Option<()> {
    let mut head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n".to_owned();
    for (name, value) in HEADERS {
        head.extend([name, ": ", value, "\r\n"]);
    }
    write(stream, (head + "\r\n").as_bytes()).await?;
    let mut is_told = false;
    loop {
        // What is there already comes first, and then what is new.
        let is_new = is_told || feed.borrow().is_empty();
        if is_new {
            match timeout(ALIVE, feed.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => {
                    write(stream, b":\n\n").await?;
                    // A browser says nothing more, and its going is seen here.
                    let mut nothing = [0; 1];
                    if let Ok(Ok(0)) = timeout(Duration::from_millis(1), stream.read(&mut nothing)).await {
                        return None;
                    }
                    continue;
                }
            }
        }
        let text = Arc::clone(&feed.borrow_and_update());
        is_told = true;
        // JSON has no line feeds.
        write(stream, b"data: ").await?;
        write(stream, text.as_bytes()).await?;
        write(stream, b"\n\n").await?;
    }
}

/// Writes for as long as the other side takes some of it now and then.
async fn write(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    for piece in bytes.chunks(PIECE) {
        timeout(WRITING, stream.write_all(piece)).await.ok()?.ok()?;
    }
    Some(())
}

impl ApiError {
    pub(crate) fn reply(&self) -> Reply {
        let body = serde_json::json!({ "error": self.text() }).to_string();
        Reply { status: self.status(), ..Reply::of("application/json", body) }
    }
}
