//! Puts the connectors of the configuration together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use watchfire_api::outbound::Outbound;
use watchfire_connector::{
    json_api::Token, ozone, routed::Routed, standard_webhook::SigningKey, synapse, webhook,
};
use watchfire_node::{budget::Budget, clock::Clock, connector::Connector};

use crate::{
    config::{self, Config},
    directory::Directory,
    exit::{Failure, OrEnvironment, environment},
};

/// The name under which effects are queued: all connectors as one, so that an effect that waits is
/// carried out by whoever serves its item when its time comes.
pub(super) const PLATFORM: &str = "platform";
/// The name under which effects were queued when there was the webhook alone.
const WEBHOOK: &str = "webhook";

/// What carries out actions, by name; nothing when nothing is configured.
pub(super) fn connectors(
    directory: &Directory,
    config: &Config,
    out: &Outbound,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Arc<dyn Connector>>, Failure> {
    let build = Build { directory, out, clock };
    let mut routed = Routed::default();
    for served in &config.connector {
        let place = format!("the connector {:?}", served.name);
        if served.items.is_empty() || served.items.iter().any(String::is_empty) {
            return Err(environment(format!("{place}: items are beginnings of ids, none empty")));
        }
        let connector = build.connector(&served.by, &place)?;
        for prefix in &served.items {
            routed.add(prefix, connector.clone()).or_environment(&place)?;
        }
    }
    let mut connectors = BTreeMap::<String, Arc<dyn Connector>>::new();
    if let Some(webhook) = &config.webhook {
        let webhook = build.webhook(webhook, "[webhook]")?;
        routed.add("", webhook.clone()).or_environment("[webhook]")?;
        connectors.insert(WEBHOOK.to_owned(), webhook);
    }
    if !routed.is_empty() {
        connectors.insert(PLATFORM.to_owned(), Arc::new(routed));
    }
    Ok(connectors)
}

/// What they may be asked. Effects are queued for all of them as one, so the webhook's budget bounds
/// them all.
pub(super) fn budgets(config: &Config) -> BTreeMap<String, Budget> {
    let budget = config.webhook.as_ref().map(config::Webhook::budget);
    let names = [PLATFORM, WEBHOOK].into_iter();
    budget.iter().flat_map(|budget| names.clone().map(|name| (name.to_owned(), *budget))).collect()
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
