//! `watchfire account`: opens and closes accounts of people, at a running node or a stopped one.

use clap::{Args, Subcommand};
use watchfire_api::wire::{AccountRequest, AccountView, Invited, RoleRequest};
use watchfire_node::{
    access::{
        Invitation,
        account::{AccountName, Role},
    },
    desk::Actor,
};
use watchfire_server::views;

use crate::{
    exit::{Answer, Ended},
    node_api::answered,
    output::{Output, word},
    reach::{Reach, Reached},
    runtime,
};

/// Open, change and close accounts of people.
///
/// A person is invited, sets a passphrase with the invitation, and logs in with it. There is no default
/// account and no default passphrase. At the running node with a key of the scope admin, or with --dir
/// while the node is stopped. Every change is a line in the desk log, which knows people by pseudonyms.
///
/// Example:
///   watchfire account add kim --role moderator --dir ./tiktok
///   watchfire account list
///   watchfire account close kim
#[derive(Debug, Subcommand)]
#[command(verbatim_doc_comment)]
pub(crate) enum Account {
    /// Open an account and print its invitation, this once; it can be used once, within a week.
    Add(Add),
    /// List accounts with the pseudonyms that stand for them in the desk log.
    List(List),
    /// Invite a person again, who forgot the passphrase, say.
    Invite(One),
    /// Give a person another role, in sessions that go on too.
    Role(Add),
    /// Close an account and end its sessions.
    Close(One),
    /// Erase the name of a closed account: nobody can tell any more who the pseudonym was.
    Erase(One),
}

/// A person and a role.
#[derive(Debug, Args)]
pub(crate) struct Add {
    #[command(flatten)]
    at: Reach,
    /// The name that the person logs in with.
    name: AccountName,
    /// What the person is: moderator, lead, admin or auditor.
    #[arg(long, value_parser = role)]
    role: Role,
}

/// All accounts.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: Reach,
}

/// A person.
#[derive(Debug, Args)]
pub(crate) struct One {
    #[command(flatten)]
    at: Reach,
    /// The name that the person logs in with.
    name: AccountName,
}

fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(text.into())
        .map_err(|_| format!("`{text}` is no role; known are moderator, lead, admin, auditor"))
}

/// Runs the command.
pub(crate) fn run(account: &Account, output: &Output) -> Ended {
    runtime::block_on(async {
        match account {
            Account::Add(add) => run_add(add, output).await,
            Account::List(list) => run_list(list, output).await,
            Account::Invite(one) => run_invite(one, output).await,
            Account::Role(change) => run_role(change, output).await,
            Account::Close(one) => run_close(one, output).await,
            Account::Erase(one) => run_erase(one, output).await,
        }
    })?
}

async fn run_add(add: &Add, output: &Output) -> Ended {
    let name = add.name.clone();
    let invited = match add.at.member().await? {
        Reached::Running(client) => {
            let role = views::role(add.role);
            let asked = AccountRequest { name: name.to_string(), role };
            answered(client.open_account(&asked).await)?
        }
        Reached::Stopped(member) => {
            told(member.access.open_account(Actor::Node, name, add.role).await?)
        }
    };
    output.answer(&invited, || invitation(&invited))?;
    Ok(Answer::Yes)
}

async fn run_list(list: &List, output: &Output) -> Ended {
    let accounts: Vec<AccountView> = match list.at.member().await? {
        Reached::Running(client) => answered(client.accounts().await)?.accounts,
        Reached::Stopped(member) => member.access.accounts().iter().map(views::account).collect(),
    };
    for account in accounts {
        output.answer(&account, || text(&account))?;
    }
    Ok(Answer::Yes)
}

async fn run_invite(one: &One, output: &Output) -> Ended {
    let name = one.name.clone();
    let invited = match one.at.member().await? {
        Reached::Running(client) => answered(client.invite(name.as_str()).await)?,
        Reached::Stopped(member) => told(member.access.invite_again(Actor::Node, name).await?),
    };
    output.answer(&invited, || invitation(&invited))?;
    Ok(Answer::Yes)
}

async fn run_role(change: &Add, output: &Output) -> Ended {
    let (name, role) = (change.name.clone(), change.role);
    let account = match change.at.member().await? {
        Reached::Running(client) => {
            let asked = RoleRequest { role: views::role(role) };
            answered(client.change_role(name.as_str(), &asked).await)?
        }
        Reached::Stopped(member) => {
            views::account(&member.access.change_role(Actor::Node, name, role).await?)
        }
    };
    output.answer(&account, || text(&account))?;
    Ok(Answer::Yes)
}

async fn run_close(one: &One, output: &Output) -> Ended {
    let name = one.name.clone();
    match one.at.member().await? {
        Reached::Running(client) => answered(client.close_account(name.as_str()).await)?,
        Reached::Stopped(member) => member.access.close_account(Actor::Node, name).await?,
    }
    let done = serde_json::json!({ "closed": one.name });
    output.answer(&done, || format!("{} is closed", one.name))?;
    Ok(Answer::Yes)
}

async fn run_erase(one: &One, output: &Output) -> Ended {
    let name = one.name.clone();
    match one.at.member().await? {
        Reached::Running(client) => answered(client.erase_account(name.as_str()).await)?,
        Reached::Stopped(member) => member.access.erase_account(Actor::Node, name).await?,
    }
    let done = serde_json::json!({ "erased": one.name });
    output.answer(&done, || format!("{} is erased", one.name))?;
    Ok(Answer::Yes)
}

fn told(invitation: Invitation) -> Invited {
    Invited { account: views::account(&invitation.account), invitation: invitation.secret }
}

fn invitation(invited: &Invited) -> String {
    let (name, secret) = (&invited.account.name, &invited.invitation);
    format!(
        "invitation for {name}, shown this once, to be used once within a week: {secret}\n\
         {name} sets a passphrase with POST /v1/session/invitation, and logs in with POST /v1/session"
    )
}

fn text(account: &AccountView) -> String {
    let state = match (account.closed_ms, account.has_passphrase) {
        (Some(_), _) => "closed",
        (None, true) => "open",
        (None, false) => "invited",
    };
    format!("{} {} {} {state}", account.name, word(&account.role), account.pseudonym)
}
