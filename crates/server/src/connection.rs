//! Accepts connections, TLS or not, HTTP/1.1 or HTTP/2, and lets them finish at the end.
//!
//! **Invariant:** a while after the order to stop ([`crate::limits::DRAIN`]), no connection and no request is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limits::CONNECTIONS;
use crate::tls::Tls;

/// How long a TLS handshake and the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an idle HTTP/2 connection is asked whether it stands.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Streams a connection: a follower of every log of a large coalition, and its requests.
const MAX_STREAMS: u32 = 512;

/// How much of an upload may be on its way on one stream.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// How much may be on its way on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// The largest head of a request.
const MAX_HEADER_BYTES: u32 = 32 << 10;

/// A wait after the system refuses to accept, for lack of file descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a request came from: the other end of the connection, which may be a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote(pub SocketAddr);

/// Accepts until `stop`, then lets connections finish for the time of `drain`.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Tls,
    router: Router,
    (stop, drain): (CancellationToken, Duration),
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS.value));
    let graceful = GracefulShutdown::new();
    let given_up = CancellationToken::new();
    let _give_up = given_up.clone().drop_guard();
    loop {
        // Over the limit nothing is accepted: the system's own queue fills, and callers wait or are refused.
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let (stream, remote) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (tls, router, watcher) = (tls.clone(), router.clone(), graceful.watcher());
        let given_up = given_up.clone();
        tokio::spawn(async move {
            let _place = place;
            // A small answer must not wait for the acknowledgement of the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a socket without TCP_NODELAY");
            }
            tokio::select! {
                () = serve(stream, remote, tls, router, watcher) => {}
                () = given_up.cancelled() => {}
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::info!("some connections did not finish in time");
    }
}

type Watcher = hyper_util::server::graceful::Watcher;

async fn serve(stream: TcpStream, remote: SocketAddr, tls: Tls, router: Router, watcher: Watcher) {
    match tls {
        Tls::Files(acceptor) => {
            match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, remote, router, watcher).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS did not come about"),
                Err(_) => tracing::debug!(%remote, "TLS took too long"),
            }
        }
        Tls::Proxy | Tls::LoopbackPlain => speak(stream, remote, router, watcher).await,
    }
}

async fn speak<S>(stream: S, remote: SocketAddr, router: Router, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Remote(remote));
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(HEAD_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%remote, %error, "a connection broke");
    }
}
