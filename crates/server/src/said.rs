//! What a caller says of something that the path names: who may, of what, under which key, and the words.

use std::{marker::PhantomData, sync::Arc};

use axum::extract::{FromRequest, FromRequestParts, Request};
use serde::de::DeserializeOwned;
use watchfire_node::publish::Asked;
use watchfire_signal::commitment::Commitment;

use crate::answer::Failure;
use crate::caller::{Allowed, Answering, Opens, asked};
use crate::input::{Named, read_json};
use crate::server::Server;

/// A body of JSON about what the path names, of a caller who may do what `D` stands for. Who calls is looked at
/// first, then the path, then the body.
pub(crate) struct Said<D, I, T> {
    /// What the path names.
    pub(crate) of: I,
    /// Who calls, and under which name the answer is kept, if the caller wants it kept.
    pub(crate) asked: Option<Asked>,
    /// The body.
    pub(crate) body: T,
    door: PhantomData<D>,
}

/// What people and programs that answer say of an alert or an incident.
pub(crate) type OfRecord<T> = Said<Answering, Commitment, T>;

impl<D, I, T> FromRequest<Arc<Server>> for Said<D, I, T>
where
    D: Opens + Send,
    I: std::str::FromStr<Err: std::fmt::Display> + Send,
    T: DeserializeOwned,
{
    type Rejection = Failure;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let allowed = Allowed::<D>::from_request_parts(&mut parts, server).await?;
        let Named(of) = Named::<I>::from_request_parts(&mut parts, server).await?;
        let asked = asked(&allowed.caller, &parts)?;
        let body = read_json(&parts, body).await?;
        Ok(Self { of, asked, body, door: PhantomData })
    }
}
