//! The server `lastseen`: the first user of the crates below it.
//!
//! # Map
//! | room | what lives there |
//! | --- | --- |
//! | [`cli`] | commands, their arguments, what they print |
//! | [`config`] | the settings: what was typed, and what it means |
//! | [`serve`] | `lastseen serve`, from the first line to the last |
//! | [`app`] | what a running server, or a command alone, works with |
//! | [`storage`] | the database, of whichever kind, and the stores in it |
//! | [`router`] | the whole URL surface on one screen |
//! | [`surface`] | the router, and the check of a session in front of it |
//! | [`pages`] | how sign-in, password and set-up look |
//! | [`accounts`] | built-in accounts and their passwords |
//! | [`applications`] | other programs' accounts: keys, requests, links into the pages |
//! | [`proxies`] | checks for proxies that guard other services |
//! | [`listener`] | connections and their limits |
//! | [`control`] | commands beside a running server |
//! | [`supervisor`], [`reload`] | what systemd, or whoever supervises, gives and is told; SIGHUP |
//! | [`jobs`] | what the server does by itself |
//! | [`faults`] | what a panic is answered |
//! | [`requests`], [`logs`], [`metrics`] | what is noted |
//! | [`demo`] | a throw-away server with sessions of every kind |

pub mod accounts;
pub mod app;
pub mod applications;
pub mod cli;
pub mod config;
pub mod control;
mod demo;
mod failure;
mod faults;
mod jobs;
pub mod listener;
pub mod logs;
mod metrics;
pub mod pages;
pub mod proxies;
mod readiness;
mod reload;
mod requests;
pub mod router;
mod serve;
pub mod sign_in;
pub mod storage;
mod supervisor;
mod surface;

pub use failure::Failure;
