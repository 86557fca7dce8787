//! Sends requests over keep-alive connections and says how long those of each kind took.
//!
//! Where wrk says how much a server bears, this says who waits: apart by kind of request, at a rate of its own choosing,
//! or each request of a file exactly once. A thread for each connection; what is late is counted from when it was due.
//!
//! ```text
//! probe 127.0.0.1:8080 --connections 32 --seconds 10 --rate 5000 --load validate:97:validate.tsv --load create:3:create.tsv
//! ```
//! The files are those of `wrk/requests.lua`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;

/// What a current browser sends beside it, as in `wrk/requests.lua`.
const BROWSER: &str = "Host: 127.0.0.1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: application/json\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Sec-CH-UA: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
    Sec-CH-UA-Mobile: ?0\r\n\
    Sec-CH-UA-Platform: \"Linux\"\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-origin\r\n";

/// Sends requests and measures their latencies.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens; with several, separated by commas, the connections take turns.
    #[arg(value_delimiter = ',', required = true)]
    address: Vec<String>,
    /// Connections, each with a thread.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Requests a second, evenly spread; without it each connection sends the next once it has its answer.
    #[arg(long)]
    rate: Option<f64>,
    /// Sends each request of the first load once, and ends, however long that takes.
    #[arg(long)]
    once: bool,
    /// What to send: NAME:WEIGHT:FILE.
    #[arg(long = "load", required = true)]
    loads: Vec<Load>,
}

/// Requests of one kind.
#[derive(Clone, Debug)]
struct Load {
    name: String,
    weight: f64,
    lines: Vec<String>,
}

impl FromStr for Load {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().context("a load is NAME:WEIGHT:FILE");
        let (name, weight, file) = (part()?.to_owned(), part()?.parse()?, Path::new(part()?));
        let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            bail!("{} is empty", file.display());
        }
        Ok(Self {
            name,
            weight,
            lines,
        })
    }
}

/// What all connections share.
struct Plan {
    arguments: Arguments,
    /// The next line of each load.
    next: Vec<AtomicUsize>,
    began: Instant,
    over: AtomicBool,
}

/// What came of the requests of one kind on one connection.
#[derive(Default)]
struct Came {
    microseconds: Vec<u32>,
    statuses: BTreeMap<u16, u64>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan {
        next: arguments
            .loads
            .iter()
            .map(|_| AtomicUsize::new(0))
            .collect(),
        arguments,
        began: Instant::now(),
        over: AtomicBool::new(false),
    };
    let connections = plan.arguments.connections;
    let came = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                let plan = &plan;
                scope.spawn(move || plan.work(number))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked")))
            .collect::<Result<Vec<_>>>()
    })?;
    let seconds = plan.began.elapsed().as_secs_f64();
    println!("{}", summary(&plan.arguments.loads, came, seconds));
    Ok(())
}

impl Plan {
    /// One connection's part of it.
    fn work(&self, number: usize) -> Result<Vec<Came>> {
        let Arguments {
            connections,
            seconds,
            rate,
            once,
            ..
        } = self.arguments;
        let mut came: Vec<Came> = self.next.iter().map(|_| Came::default()).collect();
        let addresses = &self.arguments.address;
        let mut stream = TcpStream::connect(&addresses[number % addresses.len()])?;
        stream.set_nodelay(true)?;
        let mut answer = Vec::new();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1));
        let until = self.began + Duration::from_secs_f64(seconds);
        for turn in 0_u64.. {
            let due = match rate {
                Some(rate) => {
                    let place = turn as f64 * connections as f64 + number as f64;
                    let due = self.began + Duration::from_secs_f64(place / rate);
                    if let Some(rest) = due.checked_duration_since(Instant::now()) {
                        std::thread::sleep(rest);
                    }
                    due
                }
                None => Instant::now(),
            };
            if self.over.load(Ordering::Relaxed) || !once && due >= until {
                break;
            }
            let kind = self.kind(&mut dice);
            let load = &self.arguments.loads[kind];
            let place = self.next[kind].fetch_add(1, Ordering::Relaxed);
            if once && place >= load.lines.len() {
                self.over.store(true, Ordering::Relaxed);
                break;
            }
            let request = request(&load.lines[place % load.lines.len()]);
            stream.write_all(request.as_bytes())?;
            let status = receive(&mut stream, &mut answer)?;
            let took = due.elapsed().as_micros();
            came[kind]
                .microseconds
                .push(u32::try_from(took).unwrap_or(u32::MAX));
            *came[kind].statuses.entry(status).or_default() += 1;
        }
        Ok(came)
    }

    /// Which load is next.
    fn kind(&self, dice: &mut Dice) -> usize {
        let loads = &self.arguments.loads;
        let total: f64 = loads.iter().map(|load| load.weight).sum();
        let mut drawn = dice.roll() * total;
        for (place, load) in loads.iter().enumerate() {
            drawn -= load.weight;
            if drawn < 0.0 {
                return place;
            }
        }
        0
    }
}

/// Xorshift, 64 bits (Marsaglia 2003).
struct Dice(u64);

impl Dice {
    /// From 0 on, below 1.
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The request that a line stands for.
fn request(line: &str) -> String {
    let mut fields = line.splitn(5, '\t');
    let mut field = || fields.next().filter(|field| *field != "-");
    let (method, path) = (field().unwrap_or("GET"), field().unwrap_or("/"));
    let mut text = format!("{method} {path} HTTP/1.1\r\n{BROWSER}");
    if let Some(cookie) = field() {
        text.push_str("Cookie: ");
        text.push_str(cookie);
        text.push_str("\r\n");
    }
    if let Some(headers) = field() {
        text.push_str(&headers.replace("; ", "\r\n"));
        text.push_str("\r\n");
    }
    match field() {
        Some(body) => {
            text.push_str("Content-Type: application/json\r\n");
            text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        }
        None => text.push_str("\r\n"),
    }
    text
}

/// Reads one answer to its end, and says its status.
fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u16> {
    answer.clear();
    let mut piece = [0; 16 << 10];
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            bail!("the server hung up");
        }
        answer.extend_from_slice(&piece[..read]);
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&answer[..end])?;
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, value)| value.trim().parse())?;
        let status = head
            .split_ascii_whitespace()
            .nth(1)
            .context("no status")?
            .parse()?;
        while answer.len() < end + 4 + length {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                bail!("the server hung up");
            }
            answer.extend_from_slice(&piece[..read]);
        }
        return Ok(status);
    }
}

/// All of it in one line of JSON.
fn summary(loads: &[Load], came: Vec<Vec<Came>>, seconds: f64) -> String {
    let mut kinds: Vec<Came> = loads.iter().map(|_| Came::default()).collect();
    for (place, of_kind) in came
        .into_iter()
        .flat_map(|connection| connection.into_iter().enumerate())
    {
        kinds[place].microseconds.extend(of_kind.microseconds);
        for (status, number) in of_kind.statuses {
            *kinds[place].statuses.entry(status).or_default() += number;
        }
    }
    let kinds: Vec<String> = loads
        .iter()
        .zip(&mut kinds)
        .map(|(load, came)| {
            came.microseconds.sort_unstable();
            let at = |part: f64| {
                let last = came.microseconds.len().saturating_sub(1);
                let place = (last as f64 * part).round() as usize;
                came.microseconds.get(place).copied().unwrap_or(0)
            };
            let slow = came.microseconds.iter().filter(|&&took| took > 50_000);
            let statuses: Vec<String> = came
                .statuses
                .iter()
                .map(|(status, number)| format!("\"{status}\":{number}"))
                .collect();
            format!(
                "{{\"name\":\"{}\",\"requests\":{},\"statuses\":{{{}}},\"p50_us\":{},\"p90_us\":{},\"p99_us\":{},\
                 \"p999_us\":{},\"max_us\":{},\"above_50_ms\":{}}}",
                load.name,
                came.microseconds.len(),
                statuses.join(","),
                at(0.5),
                at(0.9),
                at(0.99),
                at(0.999),
                at(1.0),
                slow.count()
            )
        })
        .collect();
    format!(
        "{{\"seconds\":{seconds:.6},\"kinds\":[{}]}}",
        kinds.join(",")
    )
}
