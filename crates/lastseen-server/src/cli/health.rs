//! `lastseen health`: whether a running server is ready, for containers and scripts that have no HTTP client.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use url::Url;

use super::Output;
use crate::config::Effective;
use crate::failure::{Failure, plain};

/// Longest wait for each step of the question: connecting, asking, each piece of the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Longest answer that is read, in bytes. That of a server of ours is below 2 kB.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Asks `GET /readyz` of the server at `url`, or where the settings have it listen; done where it says 200.
pub(super) fn run(url: Option<&str>, effective: &Effective) -> Result<(), Failure> {
    let (address, host) = match url {
        Some(url) => named(url)?,
        None => listening(effective.listen)?,
    };
    let status = ask(address, &host)
        .map_err(|error| Failure::refused(format_args!("http://{host}: {}", plain(&error))))?;
    match status.as_deref() {
        Some("200") => {
            let mut output = Output::new();
            output.text("ready\n")?;
            output.flush()
        }
        Some(status) => Err(Failure::refused(format_args!(
            "http://{host}: not ready: it answers {status}"
        ))),
        None => Err(Failure::refused(format_args!(
            "http://{host}: no HTTP server answers there"
        ))),
    }
}

/// Where a server that listens on `address` is reached from its own machine.
fn listening(address: SocketAddr) -> Result<(SocketAddr, String), Failure> {
    if address.port() == 0 {
        return Err(Failure::usage(
            "--listen has port 0, which may be any: name the server with --url",
        ));
    }
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = SocketAddr::new(ip, address.port());
    Ok((address, address.to_string()))
}

fn named(url: &str) -> Result<(SocketAddr, String), Failure> {
    let wrong = |why: &str| Failure::usage(format_args!("--url: {url:?} {why}"));
    let parsed = Url::parse(url).map_err(|_| wrong("is no URL like http://127.0.0.1:8080"))?;
    if parsed.scheme() != "http" {
        return Err(wrong(
            "is not plain http: ask the server itself, not the proxy in front of it",
        ));
    }
    let (Some(host), Some(port)) = (parsed.host_str(), parsed.port_or_known_default()) else {
        return Err(wrong("has no host"));
    };
    let host = format!("{host}:{port}");
    let address = host
        .to_socket_addrs()
        .ok()
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(|| Failure::refused(format_args!("{host}: there is no such host")))?;
    Ok((address, host))
}

/// The status that the server answers, if what it answers is HTTP.
fn ask(address: SocketAddr, host: &str) -> std::io::Result<Option<String>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(
        format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_loopback() {
        for (listening_on, asked) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:8080", "[::1]:8080"),
            ("192.0.2.7:8080", "192.0.2.7:8080"),
        ] {
            let (_, host) = listening(listening_on.parse().unwrap()).unwrap();
            assert_eq!(host, asked);
        }
        assert!(listening("127.0.0.1:0".parse().unwrap()).is_err());
    }

    #[test]
    fn only_plain_http_can_be_asked() {
        assert_eq!(named("http://127.0.0.1:8080").unwrap().1, "127.0.0.1:8080");
        assert_eq!(named("http://[::1]:8080/x").unwrap().1, "[::1]:8080");
        assert_eq!(named("http://127.0.0.1").unwrap().1, "127.0.0.1:80");
        for wrong in ["https://127.0.0.1", "127.0.0.1:8080", "", "unix:/x"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
