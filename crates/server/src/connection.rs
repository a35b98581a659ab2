//! Accepts connections, TLS or not, HTTP/1.1 or HTTP/2, and lets them finish at the end.
//!
//! **Invariant:** a while after the order to stop ([`crate::limits::DRAIN`]), no connection and no request is left. A
//! connection on which nothing is asked, or whose other end takes nothing, ends by itself.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits::{CONNECTIONS, CONNECTIONS_OF_AN_ADDRESS, Patience, WRITE_STALL};
use crate::open_files;
use crate::places::Shares;
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

/// What connections are served with.
#[derive(Clone)]
struct Serving {
    tls: Tls,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
}

/// Accepts until `stop`, then lets connections finish for a while.
pub(crate) async fn accept(
    listener: TcpListener,
    tls: Tls,
    router: Router,
    (stop, patience): (CancellationToken, Patience),
) {
    let serving = Serving { tls, router, patience, stop: stop.clone() };
    let places = Arc::new(Semaphore::new(CONNECTIONS.value.min(open_files::for_connections())));
    let shares = Shares::new(CONNECTIONS, CONNECTIONS_OF_AN_ADDRESS);
    let tasks = TaskTracker::new();
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
        // A proxy speaks for everybody: its connections, and those of this machine, count for all alone.
        let from = remote.ip().to_canonical();
        let one = !from.is_loopback() && !matches!(serving.tls, Tls::Proxy);
        let share = one.then(|| shares.take(from)).transpose();
        let Ok(share) = share else {
            let limit = CONNECTIONS_OF_AN_ADDRESS.name;
            metrics::counter!("watchfire_requests_limited_total", "limit" => limit).increment(1);
            continue;
        };
        let (serving, given_up) = (serving.clone(), given_up.clone());
        tasks.spawn(async move {
            let _places = (place, share);
            // A small answer must not wait for the acknowledgement of the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a socket without TCP_NODELAY");
            }
            tokio::select! {
                () = serve(stream, remote, serving) => {}
                () = given_up.cancelled() => {}
            }
        });
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(patience.drain, tasks.wait()).await.is_err() {
        tracing::info!("some connections did not finish in time");
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, serving: Serving) {
    match &serving.tls {
        Tls::Files(acceptor) => {
            match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => speak(stream, remote, serving).await,
                Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS did not come about"),
                Err(_) => tracing::debug!(%remote, "TLS took too long"),
            }
        }
        Tls::Proxy | Tls::LoopbackPlain => speak(stream, remote, serving).await,
    }
}

async fn speak<S>(stream: S, remote: SocketAddr, serving: Serving)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Serving { router, patience, stop, .. } = serving;
    let (open, mut seen) = watch::channel(0);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Remote(remote));
        let open = Open::new(&open);
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            Ok::<_, std::convert::Infallible>(
                answer.await?.map(|body| Answer { body, _open: open }),
            )
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_STALL));
    let builder = builder();
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return told(remote, ended),
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        () = idle(&mut seen, patience.idle) => connection.as_mut().graceful_shutdown(),
    }
    // What is still asked is answered; who does not hear that this is the end is cut off once nothing is.
    tokio::select! {
        ended = connection.as_mut() => told(remote, ended),
        () = idle(&mut seen, patience.idle.min(HEAD_TIMEOUT)) => tracing::debug!(%remote, "a connection without requests is closed"),
    }
}

fn told<E: std::fmt::Display>(remote: SocketAddr, ended: Result<(), E>) {
    if let Err(error) = ended {
        tracing::debug!(%remote, %error, "a connection broke");
    }
}

fn builder() -> Builder<TokioExecutor> {
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
    builder
}

/// Waits until nothing has been asked for so long.
async fn idle(open: &mut watch::Receiver<usize>, time: Duration) {
    loop {
        // Who counts is gone when the connection is; then that says so.
        if open.wait_for(|open| *open == 0).await.is_err() {
            return std::future::pending().await;
        }
        tokio::select! {
            () = tokio::time::sleep(time) => return,
            _ = open.changed() => {}
        }
    }
}

/// A request that is not answered, or whose answer is not taken.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|open| *open += 1);
        Open(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// The body of an answer; its request is open until it is taken.
struct Answer {
    body: Body,
    _open: Open,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
