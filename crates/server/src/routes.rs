//! All routes with their documentation, and what happens around each of them.

mod accounts;
mod actions;
mod alert;
mod alerts;
mod answers;
mod audit;
mod bank_contents;
mod banks;
mod cases;
mod charter;
mod events;
mod evidence;
mod hash;
mod heads;
mod health;
mod incidents;
mod keys;
mod live;
mod log;
mod lookup;
mod matches;
mod members;
mod policy;
mod proof;
mod records;
mod review;
mod scan;
mod seen;
mod sessions;
mod stream;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfire_api::problem::{Problem, ProblemKind};

use crate::answer::Failure;
use crate::server::Server;

/// Every route of a node.
pub fn router(server: Arc<Server>) -> Router {
    let (router, openapi) = documented().split_for_parts();
    let document: Arc<str> = text(&openapi).into();
    let json = [(header::CONTENT_TYPE, "application/json")];
    router
        .route(
            "/openapi.json",
            axum::routing::get(move || async move { (json, document.to_string()) }),
        )
        .fallback(async || Failure(Problem::plain(ProblemKind::NotFound)))
        .method_not_allowed_fallback(async || {
            Failure(Problem::plain(ProblemKind::MethodNotAllowed))
        })
        .layer(from_fn_with_state(server.patience.request, around))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(server)
}

/// The OpenAPI 3.1 document of the native API, as it is served and as it stands in `docs/openapi.json`.
pub fn openapi() -> String {
    text(&documented().into_openapi())
}

fn text(openapi: &OpenApi) -> String {
    let mut text = openapi.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn documented() -> OpenApiRouter<Arc<Server>> {
    let info = InfoBuilder::new()
        .title("Watchfire")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A member's node: verdicts on uploads, alerts to the coalition and from it. Errors are problems of \
             RFC 9457 with a stable `type`; a limit that was reached stands in `limit`.",
        ))
        .build();
    let mut components = Components::new();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let openapi = OpenApiBuilder::new().info(info).components(Some(components)).build();
    OpenApiRouter::with_openapi(openapi)
        .merge(content())
        .merge(deeds().merge(people()).merge(witnessing()).layer(from_fn(to_its_end)))
        .merge(members_and_health())
}

/// What programs of the platform ask and tell about what is uploaded.
fn content() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(scan::scan))
        .routes(routes!(live::live))
        .routes(routes!(hash::hash))
        .routes(routes!(lookup::lookup))
        .routes(routes!(events::watch))
        .routes(routes!(seen::import))
}

/// What is said to the coalition, and done about items.
fn deeds() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(alerts::raise, alert::list))
        .routes(routes!(alerts::preflight))
        .routes(routes!(alert::show))
        .routes(routes!(answers::confirm))
        .routes(routes!(answers::dispute))
        .routes(routes!(answers::retract))
        .routes(routes!(answers::halt))
        .routes(routes!(cases::renew))
        .routes(routes!(cases::resolve))
        .routes(routes!(cases::cosign))
        .routes(routes!(cases::join))
        .routes(routes!(cases::appeal))
        .routes(routes!(cases::erase))
        .routes(routes!(records::erase))
        .routes(routes!(incidents::list, incidents::declare))
        .routes(routes!(incidents::show))
        .routes(routes!(incidents::cosign))
        .routes(routes!(incidents::update))
        .routes(routes!(incidents::conclude))
        .routes(routes!(members::members))
        .routes(routes!(members::halt))
        .routes(routes!(members::suspend))
        .routes(routes!(charter::show))
        .routes(routes!(charter::propose))
        .routes(routes!(charter::approve))
        .routes(routes!(charter::invite))
        .routes(routes!(actions::actions))
        .routes(routes!(actions::retry))
        .routes(routes!(actions::drop_effect))
        .routes(routes!(actions::restore))
        .routes(routes!(actions::keep))
        .routes(routes!(seen::forget))
}

/// What people of this member do: review, banks, policy, and who may do what.
fn people() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(review::queues))
        .routes(routes!(review::list))
        .routes(routes!(review::next))
        .routes(routes!(review::show))
        .routes(routes!(review::take))
        .routes(routes!(review::heartbeat))
        .routes(routes!(review::release))
        .routes(routes!(review::decide))
        .routes(routes!(review::undo))
        .routes(routes!(keys::list, keys::make))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(accounts::list, accounts::open))
        .routes(routes!(accounts::invite))
        .routes(routes!(accounts::change_role))
        .routes(routes!(accounts::close))
        .routes(routes!(accounts::erase))
        .routes(routes!(sessions::show, sessions::log_in, sessions::log_out))
        .routes(routes!(sessions::accept))
        .routes(routes!(audit::list))
        .routes(routes!(audit::walk))
        .routes(routes!(proof::proof))
        .routes(routes!(banks::list, banks::create))
        .routes(routes!(banks::show, banks::change, banks::delete))
        .routes(routes!(bank_contents::list, bank_contents::add))
        .routes(routes!(bank_contents::show, bank_contents::change, bank_contents::remove))
        .routes(routes!(policy::show, policy::apply))
        .routes(routes!(policy::backtest))
        .routes(routes!(policy::promote))
        .routes(routes!(policy::explain))
        .routes(routes!(policy::holds))
        .routes(routes!(policy::release))
}

/// What anybody asks of a witness: what it has written down as cosigned should not be lost to who asked.
fn witnessing() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(witness::add_checkpoint))
}

/// What members and auditors read of logs, and how the node is.
fn members_and_health() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(log::checkpoint))
        .routes(routes!(log::tile))
        .routes(routes!(log::entries))
        .routes(routes!(log::urgent))
        .routes(routes!(log::records, log::bring))
        .routes(routes!(log::lacking))
        .routes(routes!(evidence::evidence))
        .routes(routes!(evidence::cosigned))
        .routes(routes!(stream::follow))
        .routes(routes!(log::frames))
        .routes(routes!(log::receipts, log::effective))
        .routes(routes!(heads::heads))
        .routes(routes!(charter::list))
        .routes(routes!(charter::tell))
        .routes(routes!(charter::join))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// Carries what changes something to its end even when its caller has gone, or waits no longer: what is durable by then has
/// to reach what the node decides by.
async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let ended = tokio::spawn(next.run(request)).await;
    ended.unwrap_or_else(|error| Failure::internal(&error).into_response())
}

/// Around every request: its time limit, and numbers about it.
async fn around(State(longest): State<Duration>, request: Request, next: Next) -> Response {
    // The route and not the address: an address of one's own invention must not make a new series.
    let route =
        request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let begun = tokio::time::Instant::now();
    let answered = tokio::time::timeout(longest, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| {
        let seconds = longest.as_secs();
        Failure(Problem::limit(ProblemKind::Timeout, "request_seconds", seconds)).into_response()
    });
    let status = response.status().as_u16().to_string();
    metrics::counter!("watchfire_http_requests_total", "route" => route.clone(), "status" => status).increment(1);
    metrics::histogram!("watchfire_http_seconds", "route" => route)
        .record(begun.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::body::Body;
    use futures_util::FutureExt as _;
    use http::Method;
    use tokio::sync::{Notify, mpsc};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn what_changes_something_goes_on_when_its_caller_has_gone() {
        let gate = Arc::new(Notify::new());
        let (done, mut ended) = mpsc::unbounded_channel();
        let held = gate.clone();
        let deed = move |method: Method| async move {
            held.notified().await;
            done.send(method).unwrap();
        };
        let router: Router = Router::new()
            .route("/", axum::routing::get(deed.clone()).post(deed))
            .layer(from_fn(to_its_end));
        for method in [Method::GET, Method::POST] {
            let request = Request::builder().method(method).body(Body::empty()).unwrap();
            let mut call = Box::pin(router.clone().oneshot(request));
            // It has begun, and its caller goes.
            for _ in 0..8 {
                assert!(call.as_mut().now_or_never().is_none());
                tokio::task::yield_now().await;
            }
        }
        gate.notify_waiters();
        assert_eq!(ended.recv().await, Some(Method::POST));
        assert!(ended.try_recv().is_err(), "who only reads and has gone is not served");
    }
}
