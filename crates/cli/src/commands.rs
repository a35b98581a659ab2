//! The commands, a file each.

mod account;
mod action;
mod alert;
mod audit;
mod bank;
mod bench;
mod case;
mod coalition;
mod completions;
mod connectors;
mod demo;
mod doctor;
mod hash;
mod incident;
mod init;
mod key;
mod log;
mod man;
mod match_files;
mod policy;
mod proof;
mod receiver;
mod reference;
mod review;
mod scan;
mod seen;
mod serve;

use clap::Subcommand;

use crate::{exit::Ended, output::Output};

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Init(init::Init),
    #[command(subcommand)]
    Coalition(coalition::Coalition),
    Serve(serve::Serve),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Account(account::Account),
    #[command(subcommand)]
    Audit(audit::Audit),
    Hash(hash::Hash),
    Match(match_files::Match),
    Scan(scan::Scan),
    #[command(subcommand)]
    Seen(seen::Seen),
    Alert(alert::Alert),
    Case(case::Case),
    Action(action::Action),
    Incident(incident::IncidentCommand),
    Policy(policy::PolicyCommand),
    Review(review::Review),
    Bank(bank::Bank),
    #[command(subcommand)]
    Log(log::Log),
    #[command(subcommand)]
    Proof(proof::Proof),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Bench(bench::Bench),
    Receiver(receiver::Receiver),
    Connectors(connectors::Connectors),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(hide = true)]
    Reference,
}

/// Runs one command to its end. `line` is the whole command line, for those that describe it.
pub(crate) fn run(command: Command, line: clap::Command, output: &Output) -> Ended {
    match command {
        Command::Demo(demo) => demo::run(&demo, output),
        Command::Init(init) => init::run(&init, output),
        Command::Key(key) => key::run(&key, output),
        Command::Account(account) => account::run(&account, output),
        Command::Audit(audit) => audit::run(&audit, output),
        Command::Coalition(coalition) => coalition::run(&coalition, output),
        Command::Hash(hash) => hash::run(&hash, output),
        Command::Match(files) => match_files::run(&files, output),
        Command::Scan(scan) => scan::run(&scan, output),
        Command::Seen(seen) => seen::run(&seen, output),
        Command::Alert(alert) => alert::run(&alert, output),
        Command::Case(case) => case::run(&case, output),
        Command::Action(action) => action::run(&action, output),
        Command::Incident(incident) => incident::run(&incident, output),
        Command::Policy(policy) => policy::run(&policy, output),
        Command::Review(review) => review::run(&review, output),
        Command::Bank(bank) => bank::run(&bank, output),
        Command::Log(log) => log::run(&log, output),
        Command::Proof(proof) => proof::run(&proof, output),
        Command::Doctor(doctor) => doctor::run(&doctor, output),
        Command::Bench(bench) => bench::run(&bench, output),
        Command::Serve(args) => serve::run(&args, output),
        Command::Receiver(receiver) => receiver::run(&receiver, output),
        Command::Connectors(connectors) => connectors::run(&connectors, output),
        Command::Completions(completions) => completions::run(&completions, line),
        Command::Man(man) => man::run(&man, line, output),
        Command::Reference => reference::run(line, output),
    }
}
