//! The way to one destination, or from senders to the agent: connections in memory that a cable carries byte by byte, in
//! whatever weather there is.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidelight_agent::net::endpoint::Dial;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex, split,
};
use tokio::sync::Notify;

use crate::destination::Destination;
use crate::happened::Happened;

/// How the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Nobody accepts; what is connected is reset.
    Refused,
    /// Nothing arrives and nobody is told.
    Partitioned,
    /// Each piece takes this long.
    Slow(Duration),
    /// Each connection is reset after so many bytes in a direction.
    Reset(usize),
    /// The half of who answers is closed after so many bytes: requests go on, answers do not.
    HalfClosed(usize),
    /// What is answered is noise.
    Garbage,
}

/// The way to one destination, or to the agent. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Network {
    /// What its weather is counted as.
    name: &'static str,
    /// Answers hold the machine's date, and how long that is in HTTP/2 no seed decides.
    has_dates: bool,
    sky: Arc<Sky>,
    happened: Happened,
}

/// What a piece of an answer counts as that holds a date.
const DATED_PIECE: usize = 100;

/// What all connections look at. `tokio::sync::watch` wakes who waits in an order that no seed decides.
#[derive(Debug)]
struct Sky {
    weather: Mutex<Weather>,
    /// How often everything that was connected was cut.
    cuts: AtomicU64,
    changed: Notify,
}

impl Sky {
    /// The weather, once `fits` is so.
    async fn wait_for(&self, fits: impl Fn(Weather) -> bool) -> Weather {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let weather = self.weather();
            if fits(weather) {
                return weather;
            }
            changed.await;
        }
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

impl Network {
    /// The way to a destination.
    pub fn out(happened: Happened) -> Self {
        Self::new("network", false, happened)
    }

    /// The way from senders to the agent.
    pub fn into_agent(happened: Happened) -> Self {
        Self::new("way in", true, happened)
    }

    fn new(name: &'static str, has_dates: bool, happened: Happened) -> Self {
        let weather = Mutex::new(Weather::Fine);
        let sky = Sky { weather, cuts: AtomicU64::new(0), changed: Notify::new() };
        Self { name, has_dates, sky: Arc::new(sky), happened }
    }

    pub fn set(&self, weather: Weather) {
        *self.sky.weather.lock().unwrap() = weather;
        self.sky.changed.notify_waiters();
    }

    /// Resets what is connected, in any weather.
    pub fn cut(&self) {
        self.sky.cuts.fetch_add(1, Ordering::Relaxed);
        self.sky.changed.notify_waiters();
    }

    /// Connects to `destination`.
    pub fn dial(&self, destination: Destination) -> Dial {
        let network = self.clone();
        Dial::new(move || {
            let (network, destination) = (network.clone(), destination.clone());
            let accept = move |stream| {
                destination.accept(stream);
                true
            };
            async move { network.connect(accept).await }
        })
    }

    /// Connects to who `accept`s the other end, if anybody does.
    pub async fn connect(
        &self,
        accept: impl FnOnce(DuplexStream) -> bool,
    ) -> io::Result<DuplexStream> {
        let met = self.sky.weather();
        if matches!(met, Weather::Partitioned | Weather::Refused) {
            self.note(&met);
        }
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        if self.sky.wait_for(|w| w != Weather::Partitioned).await == Weather::Refused {
            return Err(refused());
        }
        let (client, near) = duplex(64 << 10);
        let (far, server) = duplex(64 << 10);
        if !accept(server) {
            return Err(refused());
        }
        let (up, down, sky) = (self.clone(), self.clone(), Arc::clone(&self.sky));
        let cuts = sky.cuts();
        tokio::spawn(async move {
            let ((near, answers), (far, requests)) = (split(near), split(far));
            let up = up.carry(near, requests, Direction::Requests);
            let down = down.carry(far, answers, Direction::Answers);
            tokio::select! {
                biased;
                _ = sky.wait_for(|_| sky.cuts() > cuts) => {}
                // An error ends both, and with them the connection.
                _ = async { tokio::try_join!(up, down) } => {}
            }
        });
        Ok(client)
    }

    fn note(&self, weather: &Weather) {
        self.happened.note_variant(self.name, weather);
    }

    async fn carry(
        self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        direction: Direction,
    ) -> io::Result<()> {
        let sky = &self.sky;
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        let (mut buffer, mut carried, mut closed) = (vec![0; 4096], 0, false);
        loop {
            let read = tokio::select! {
                biased;
                _ = sky.wait_for(|w| w == Weather::Refused) => return Err(reset()),
                read = from.read(&mut buffer) => read?,
            };
            if read == 0 {
                return to.shutdown().await;
            }
            let now = sky.wait_for(|w| w != Weather::Partitioned).await;
            let mut bytes = &mut buffer[..read];
            let dated = self.has_dates && direction == Direction::Answers;
            let after_it = carried + if dated { DATED_PIECE } else { read };
            match (now, direction) {
                (Weather::Refused, _) => return Err(reset()),
                (Weather::Slow(by), _) => {
                    self.note(&now);
                    tokio::time::sleep(by).await;
                }
                (Weather::Reset(after), _) if after_it > after => {
                    self.note(&now);
                    let part = if dated { 0 } else { after.saturating_sub(carried) };
                    to.write_all(&bytes[..part]).await?;
                    return Err(reset());
                }
                (Weather::HalfClosed(after), Direction::Answers) if after_it > after => {
                    bytes = &mut [];
                    if !std::mem::replace(&mut closed, true) {
                        self.note(&now);
                        to.shutdown().await?;
                    }
                }
                (Weather::Garbage, Direction::Answers) => {
                    self.note(&now);
                    fastrand::Rng::with_seed(fastrand::u64(..)).fill(bytes);
                }
                _ => {}
            }
            carried = after_it;
            if !closed {
                to.write_all(bytes).await?;
            }
        }
    }
}
