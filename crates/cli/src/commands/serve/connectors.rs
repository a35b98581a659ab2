//! Puts the connectors of the configuration together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use watchfire_api::outbound::Outbound;
use watchfire_connector::{json_api::Token, ozone, standard_webhook::SigningKey, synapse, webhook};
use watchfire_node::{
    budget::Budget,
    clock::Clock,
    connector::Connector,
    routes::{NOBODY, Routes},
};

use crate::{
    config::{self, Config},
    directory::Directory,
    exit::{Failure, OrEnvironment, environment},
};

/// The name of what `[webhook]` configures.
const WEBHOOK: &str = "webhook";
/// The name under which effects were queued when all connectors were one: no connector may take it,
/// so that what waits under it is handed to the one that serves the item.
const PLATFORM: &str = "platform";

/// What carries out actions.
#[derive(Default)]
pub(super) struct Connectors {
    /// By name.
    pub by_name: BTreeMap<String, Arc<dyn Connector>>,
    /// Which serves which items.
    pub routes: Routes,
    /// What each may be asked.
    pub budgets: BTreeMap<String, Budget>,
}

/// The connectors of the configuration; none when nothing is configured.
pub(super) fn connectors(
    directory: &Directory,
    config: &Config,
    out: &Outbound,
    clock: &Arc<dyn Clock>,
) -> Result<Connectors, Failure> {
    let build = Build { directory, out, clock };
    let mut all = Connectors::default();
    if let Some(webhook) = &config.webhook {
        let by = config::Connector::Webhook(webhook.clone());
        let rest = vec![String::new()];
        all.add(&config::Served { name: WEBHOOK.to_owned(), items: rest, by }, &build)?;
    }
    for served in &config.connector {
        if served.items.is_empty() || served.items.iter().any(String::is_empty) {
            let place = place(&served.name);
            return Err(environment(format!("{place}: items are beginnings of ids, none empty")));
        }
        all.add(served, &build)?;
    }
    Ok(all)
}

impl Connectors {
    fn add(&mut self, served: &config::Served, build: &Build<'_>) -> Result<(), Failure> {
        let config::Served { name, items, by } = served;
        let place = place(name);
        if [NOBODY, PLATFORM].contains(&name.as_str()) || self.by_name.contains_key(name) {
            return Err(environment(format!(
                "{place}: the name is taken; orders are queued by it"
            )));
        }
        for prefix in items {
            self.routes.add(prefix, name).or_environment(&place)?;
        }
        self.by_name.insert(name.clone(), build.connector(by, &place)?);
        self.budgets.insert(name.clone(), by.budget());
        Ok(())
    }
}

fn place(name: &str) -> String {
    format!("the connector {name:?}")
}

/// What all connectors are built with.
struct Build<'a> {
    directory: &'a Directory,
    out: &'a Outbound,
    clock: &'a Arc<dyn Clock>,
}

impl Build<'_> {
    fn connector(
        &self,
        configured: &config::Connector,
        place: &str,
    ) -> Result<Arc<dyn Connector>, Failure> {
        match configured {
            config::Connector::Ozone(configured) => self.ozone(configured, place),
            config::Connector::Synapse(configured) => self.synapse(configured, place),
            config::Connector::Webhook(configured) => self.webhook(configured, place),
        }
    }

    fn ozone(
        &self,
        configured: &config::Ozone,
        place: &str,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let setup = ozone::Setup {
            pds: configured.pds_url.clone(),
            appview: configured.appview_url.clone(),
            ozone: configured.ozone_did.clone(),
            moderator: configured.moderator.clone(),
            password: self.token(&configured.password_file)?,
            accounts: configured.accounts,
            out: self.out.clone(),
        };
        Ok(Arc::new(ozone::Ozone::new(setup).or_environment(place)?))
    }

    fn synapse(
        &self,
        configured: &config::Synapse,
        place: &str,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let setup = synapse::Setup {
            url: configured.url.clone(),
            moderator: self.token(&configured.moderator_token_file)?,
            viewer: self.token(&configured.viewer_token_file)?,
            redact: configured.redact,
            out: self.out.clone(),
        };
        Ok(Arc::new(synapse::Synapse::new(setup).or_environment(place)?))
    }

    fn webhook(
        &self,
        configured: &config::Webhook,
        place: &str,
    ) -> Result<Arc<dyn Connector>, Failure> {
        let keys = configured.key_files.iter().map(|name| self.signing_key(name));
        let setup = webhook::Setup {
            url: configured.url.clone(),
            verify_url: configured.verify_url.clone(),
            keys: keys.collect::<Result<_, _>>()?,
            clock: self.clock.clone(),
            out: self.out.clone(),
        };
        Ok(Arc::new(webhook::Webhook::new(setup).or_environment(place)?))
    }

    fn token(&self, name: &Path) -> Result<Token, Failure> {
        let (path, text) = self.secret(name)?;
        Token::parse(&text).or_environment(path.display())
    }

    fn signing_key(&self, name: &Path) -> Result<SigningKey, Failure> {
        let (path, text) = self.secret(name)?;
        SigningKey::parse(text.trim()).or_environment(path.display())
    }

    fn secret(&self, name: &Path) -> Result<(PathBuf, String), Failure> {
        let path = self.directory.file(name);
        let text = self.directory.secret(&path)?;
        Ok((path, text))
    }
}
