//! `lastseen serve`, from the first line to the last.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use lastseen_axum::{PublicUrl, SecurityHeaders};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::app::{self, Limits, Services};
use crate::config::Effective;
use crate::control::server::ControlSocket;
use crate::failure::{Failure, plain};
use crate::jobs::Jobs;
use crate::listener::{Listener, limits};
use crate::readiness::Readiness;
use crate::reload::{self, Reread};
use crate::requests::Requests;
use crate::storage::Storage;
use crate::{logs, metrics, router, supervisor};

/// How long what still runs off the request path (a password being hashed) may hold up the end of the process.
const LAST_WORK: Duration = Duration::from_millis(200);

/// What is different between the server and its demo.
pub(crate) enum Purpose {
    /// Serve whoever comes, and read the settings again when asked to.
    Serve(Reread),
    /// Show what it looks like.
    Demo,
}

/// Runs the server until it is asked to stop.
pub(crate) fn run(effective: &Effective, reread: Reread) -> Result<(), Failure> {
    run_for(Purpose::Serve(reread), effective)
}

/// Runs the server, or its demo, until it is asked to stop.
pub(crate) fn run_for(purpose: Purpose, effective: &Effective) -> Result<(), Failure> {
    // First of all: what was taken leaves the environment, which may be changed only while there is one thread.
    let socket = match purpose {
        Purpose::Serve(_) => supervisor::inherited_socket()?,
        // A socket from elsewhere might be open to more than this machine.
        Purpose::Demo => None,
    };
    let logs = logs::start(effective.log_format, effective.log_level)
        .map_err(|error| Failure::refused(format_args!("the log cannot be started: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("lastseen")
        .build()
        .map_err(|error| {
            Failure::refused(format_args!("no threads can be started: {}", plain(&error)))
        })?;
    let result = runtime.block_on(serve(purpose, effective, socket, &logs));
    runtime.shutdown_timeout(LAST_WORK);
    result
}

async fn serve(
    purpose: Purpose,
    effective: &Effective,
    socket: Option<TcpListener>,
    logs: &logs::Logs,
) -> Result<(), Failure> {
    // Before anything that could take long, so that a stop that comes early is heard.
    let mut stop = Stop::listen()?;
    let hangup = hear(SignalKind::hangup())?;
    let storage = tokio::select! {
        storage = Storage::open_in_turn(effective) => storage?,
        () = stop.asked() => return Ok(()),
    };
    let furniture = match purpose {
        Purpose::Serve(_) => Vec::new(),
        Purpose::Demo => crate::demo::furnish(&storage, effective).await?,
    };
    let services = app::open(storage, effective, Limits::OfSettings).await?;
    let control = services
        .storage
        .owned_file()
        .map(hear_commands)
        .transpose()?;
    let listener = match socket {
        Some(socket) => Listener::inherit(socket, room(effective)).map_err(|error| {
            Failure::refused(format_args!("the inherited socket: {}", plain(&error)))
        })?,
        None => bind(effective, "--listen", effective.listen)?,
    };
    let metrics_listener = match effective.metrics_listen {
        Some(address) => Some(bind(effective, "--metrics-listen", address)?),
        None => None,
    };
    let address = listener.address();
    let public_url = effective.public_url(address);
    for warning in effective.warnings(address) {
        tracing::warn!(target: "lastseen", "{warning}");
    }

    let metrics = std::sync::Arc::new(metrics::Metrics::new(&services));
    let headers = SecurityHeaders::new(&public_url);
    let requests = Requests::new(
        std::sync::Arc::clone(&metrics),
        logs.requests(),
        headers.clone(),
        std::sync::Arc::clone(&services.clock),
        services.entropy.as_ref(),
    );
    let readiness = Readiness::new(&services);
    let surface = router::surface(&services, effective, &public_url, requests, &readiness);
    let mut lines = vec![format!("listening on http://{address}")];
    lines.extend(set_up_line(&services, &public_url).await?);
    lines.extend(furniture);
    say(&lines)?;
    tracing::info!(target: "lastseen", version = env!("CARGO_PKG_VERSION"), %address, %public_url, "serving");

    let jobs = Jobs::start(&services);
    let control = control.map(|socket| tokio::spawn(socket.serve(services.clone())));
    // The rules of devices take a moment to build; nobody's first request shall wait for them.
    tokio::task::spawn_blocking(|| _ = lastseen::DeviceParser::shared());
    let (stopping, stopped) = watch::channel(false);
    let metrics_server = metrics_listener.map(|listener| {
        let (router, headers, mut stopped) =
            (metrics::router(metrics), headers.clone(), stopped.clone());
        tokio::spawn(async move {
            let stop = async move { _ = stopped.changed().await };
            listener.serve(router, &headers, stop).await;
        })
    });

    let hangups = match purpose {
        Purpose::Serve(reread) => tokio::spawn(reload::at_every_hangup(
            hangup,
            effective.clone(),
            reread,
            logs.level(),
        )),
        // Whoever closes the terminal of a demo has seen it.
        Purpose::Demo => {
            stop.hangup = Some(hangup);
            tokio::spawn(std::future::pending())
        }
    };
    supervisor::ready();
    let asked = async {
        stop.asked().await;
        supervisor::stopping();
        if let Some(drain) = effective.drain {
            tracing::info!(target: "lastseen", "draining");
            readiness.leave();
            // Whoever asks a second time does not want to wait.
            _ = tokio::time::timeout(drain, stop.asked()).await;
        }
    };
    listener.serve(surface, &headers, asked).await;
    tracing::info!(target: "lastseen", "stopping");
    hangups.abort();
    _ = stopping.send(true);
    if let Some(metrics_server) = metrics_server {
        metrics_server.abort();
    }
    if let Some(control) = control {
        control.abort();
        // Wait for it, so that the socket is gone when the process is.
        _ = control.await;
    }
    jobs.stop().await;
    services.close().await;
    tracing::info!(target: "lastseen", "stopped");
    Ok(())
}

/// Listens for commands on the database in a file that this process owns.
fn hear_commands(file: &Path) -> Result<ControlSocket, Failure> {
    ControlSocket::listen(file).map_err(|error| {
        let file = file.display();
        Failure::refused(format_args!(
            "{file}.sock: no commands can be heard: {}",
            plain(&error)
        ))
    })
}

fn bind(
    effective: &Effective,
    setting: &str,
    address: std::net::SocketAddr,
) -> Result<Listener, Failure> {
    Listener::bind(address, room(effective))
        .map_err(|error| Failure::refused(format_args!("{setting} {address}: {}", plain(&error))))
}

/// How many connections there is room for.
fn room(effective: &Effective) -> u32 {
    let descriptors = raise_descriptors().saturating_sub(limits::DESCRIPTORS_IN_RESERVE);
    let room = u32::try_from(descriptors).unwrap_or(u32::MAX).max(1);
    if room < effective.max_connections {
        tracing::warn!(target: "lastseen", room, "the limit on open files leaves room for fewer connections than --max-connections");
    }
    effective.max_connections.min(room)
}

/// Raises the limit on open files as far as this process may, and answers with it.
fn raise_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    // No number at all is no limit.
    limit.current.unwrap_or(u64::MAX)
}

/// The line with the one-time link, where there is no account yet.
async fn set_up_line(
    services: &Services,
    public_url: &PublicUrl,
) -> Result<Option<String>, Failure> {
    let link = services
        .sign_in
        .offer_set_up()
        .await
        .map_err(Failure::refused)?;
    Ok(link.map(|link| format!("set-up: {}", public_url.address_of(&link.path))))
}

/// Says the first lines on stdout, at once: whoever started the server waits for them. A reader that has gone away does
/// not keep it from serving.
fn say(lines: &[String]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let text = lines.join("\n") + "\n";
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::output(&error))
        }
        _ => Ok(()),
    }
}

/// The signals that ask the server to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

fn hear(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::refused(format_args!("no signal can be heard: {}", plain(&error)))
    })
}

impl Stop {
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
            hangup: None,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }
}
