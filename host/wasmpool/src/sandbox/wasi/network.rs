//! The network rights of a guest, and what it was refused.
//!
//! A guest may connect to the addresses that were granted. It may also connect to the addresses of
//! a granted name, once it has looked the name up here.
//!
//! A look-up takes a thread of its own until the system has answered (the threads for slow disks may
//! all wait for a disk). It cannot be stopped: it continues when the guest has dropped it, and when
//! the guest has ended. So a look-up counts until the system has answered.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource, ResourceType};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::network;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::{Pollable, SocketError, subscribe};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::ErrorCode as Failure;
use wasmtime_wasi::p3::bindings::sockets::types as preview3;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use super::capabilities::{Host, NetGrant};
use super::refusals::Refusals;
use crate::sandbox::store::State;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, lock};

/// How many addresses of names are kept. A guest can look the same name up repeatedly, and get new
/// addresses each time.
const MAX_ADDRESSES: usize = 1024;

/// How many look-ups an instance may have at once.
const MAX_LOOKUPS: usize = 16;

/// The same for all instances of a pool, including those that have ended.
const MAX_LOOKUPS_OF_POOL: usize = 64;

/// Counts the running look-ups of a pool.
#[derive(Default)]
pub(crate) struct Lookups(AtomicUsize);

/// The network as one instance has it.
#[derive(Default)]
pub(crate) struct Network {
    granted: Vec<NetGrant>,
    /// The addresses of granted names that the guest has got. Written by its look-ups, read when it
    /// connects.
    told: Mutex<Vec<SocketAddr>>,
    /// What it was refused. Taken at the end of its task.
    refused: Mutex<Refusals>,
    /// Its running look-ups. Raised when one begins, lowered when the system has answered.
    n_lookups: AtomicUsize,
    of_pool: Arc<Lookups>,
}

/// The look-up of one name, as the guest holds it.
pub(crate) struct Lookup {
    answer: Answer,
    /// The ports that the name was granted with.
    ports: Vec<u16>,
}

enum Answer {
    Awaited(oneshot::Receiver<io::Result<Vec<IpAddr>>>),
    Addresses(std::vec::IntoIter<IpAddr>),
    Failed(ErrorCode),
}

/// Why a host cannot be connected to.
#[cfg(feature = "http")]
pub(super) enum Unreachable {
    NotGranted,
    /// Too many look-ups are under way.
    Busy,
    /// No such name, or nobody answers for it.
    Unknown,
}

/// The place of a running look-up, freed on drop.
struct Place(Arc<Network>);

impl Network {
    pub(crate) fn new(granted: &[NetGrant], of_pool: &Arc<Lookups>) -> Self {
        Self {
            granted: granted.to_owned(),
            of_pool: Arc::clone(of_pool),
            ..Self::default()
        }
    }

    /// Gives the guest of `builder` its rights.
    pub(crate) fn open(self: Arc<Self>, builder: &mut WasiCtxBuilder) {
        // Names are looked up here and not by wasmtime-wasi.
        builder
            .allow_tcp(true)
            .socket_addr_check(move |address, purpose| {
                Box::pin(std::future::ready(self.permits(address, purpose)))
            });
    }

    /// What was refused since the last call.
    pub(crate) fn take_refused(&self) -> Vec<String> {
        lock(&self.refused).take()
    }

    fn permits(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let verb = match purpose {
            // Every connection begins with this bind to any address and port.
            SocketAddrUse::TcpBind if address.ip().is_unspecified() && address.port() == 0 => {
                return true;
            }
            SocketAddrUse::TcpConnect if self.may_connect(address) => return true,
            SocketAddrUse::TcpConnect => "connect to",
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => "bind to",
            SocketAddrUse::TcpListen => "listen on",
            SocketAddrUse::TcpAccept => "accept from",
            SocketAddrUse::UdpSend => "send to",
            SocketAddrUse::UdpReceive => "receive from",
        };
        self.refuse(format!("{verb} {address}"));
        false
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let is_granted = |grant: &NetGrant| {
            grant.port == address.port() && grant.host == Host::Address(address.ip())
        };
        self.granted.iter().any(is_granted) || lock(&self.told).contains(&address)
    }

    /// The ports that a name was granted with. None if it was not granted.
    fn ports(&self, name: &str) -> Vec<u16> {
        let host = match name.parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) => Host::Name(name.to_ascii_lowercase()),
        };
        let grants = self.granted.iter().filter(|grant| grant.host == host);
        grants.map(|grant| grant.port).collect()
    }

    /// The same. Refused if it was not granted.
    fn granted_ports(&self, name: &str) -> Result<Vec<u16>, ErrorCode> {
        let ports = self.ports(name);
        if ports.is_empty() {
            self.refuse(format!("look up `{}`", shown(name)));
            return Err(ErrorCode::AccessDenied);
        }
        Ok(ports)
    }

    /// All addresses of a name, for a guest of WASI 0.3.
    async fn addresses(self: Arc<Self>, name: &str) -> Result<Vec<preview3::IpAddress>, Failure> {
        let ports = self.granted_ports(name).map_err(failure)?;
        let answer = self.look_up(name, resolve);
        let addresses = resolved(answer).await.map_err(failure)?;
        let told = addresses.into_iter().map(|address| {
            self.tell(&ports, address);
            address.into()
        });
        Ok(told.collect())
    }

    /// The addresses of the host to which a request for this port may be sent.
    #[cfg(feature = "http")]
    pub(super) async fn reachable(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> Result<Vec<IpAddr>, Unreachable> {
        let is_granted = match host.parse::<IpAddr>() {
            Ok(address) => self.may_connect(SocketAddr::new(address, port)),
            Err(_) => self.ports(host).contains(&port),
        };
        if !is_granted {
            self.refuse(format!("send a request to `{}:{port}`", shown(host)));
            return Err(Unreachable::NotGranted);
        }
        let answer = self.look_up(host, resolve);
        let addresses = resolved(answer).await;
        addresses.map_err(|code| match code {
            ErrorCode::TemporaryResolverFailure => Unreachable::Busy,
            _ => Unreachable::Unknown,
        })
    }

    fn refuse(&self, what: String) {
        lock(&self.refused).add(what);
    }

    /// Notes that the guest has got this address for a name with these ports.
    fn tell(&self, ports: &[u16], address: IpAddr) {
        let mut told = lock(&self.told);
        for port in ports {
            let address = SocketAddr::new(address.to_canonical(), *port);
            if told.len() < MAX_ADDRESSES && !told.contains(&address) {
                told.push(address);
            }
        }
    }

    /// A place for a look-up, if one is free.
    fn place(self: &Arc<Self>) -> Option<Place> {
        if !raise(&self.n_lookups, MAX_LOOKUPS) {
            return None;
        }
        if !raise(&self.of_pool.0, MAX_LOOKUPS_OF_POOL) {
            self.n_lookups.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Place(Arc::clone(self)))
    }

    /// Begins a look-up with `resolve`, which blocks its thread.
    fn look_up(
        self: &Arc<Self>,
        name: &str,
        resolve: impl FnOnce(&str) -> io::Result<Vec<IpAddr>> + Send + 'static,
    ) -> Result<Answer, ErrorCode> {
        let domain = match url::Host::parse(name) {
            Ok(url::Host::Domain(domain)) => domain,
            Ok(url::Host::Ipv4(address)) => return Ok(Answer::of(address.into())),
            Ok(url::Host::Ipv6(address)) => return Ok(Answer::of(address.into())),
            // Without brackets.
            Err(_) => match name.parse::<Ipv6Addr>() {
                Ok(address) => return Ok(Answer::of(address.into())),
                Err(_) => return Err(ErrorCode::InvalidArgument),
            },
        };
        // The error of a busy resolver, after which programs try again later.
        let place = self.place().ok_or(ErrorCode::TemporaryResolverFailure)?;
        let (told, answer) = oneshot::channel();
        let looking_up = thread::Builder::new().name("wasmpool-lookup".to_owned());
        let begun = looking_up.spawn(move || {
            let _place = place;
            // Nobody may want to know any more.
            let _ = told.send(resolve(&domain));
        });
        match begun {
            Ok(_) => Ok(Answer::Awaited(answer)),
            Err(_) => Err(ErrorCode::TemporaryResolverFailure),
        }
    }
}

/// A name as a report shows it: cut to the longest valid one, since the guest can pass megabytes.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(253)]
}

/// The addresses of a look-up, once they are there. At least one.
async fn resolved(begun: Result<Answer, ErrorCode>) -> Result<Vec<IpAddr>, ErrorCode> {
    let mut answer = begun?;
    let addresses = poll_fn(|context| {
        answer.poll(context).map(|answer| match answer {
            Answer::Addresses(addresses) => Ok(addresses.collect::<Vec<_>>()),
            Answer::Failed(code) => Err(*code),
            Answer::Awaited(_) => unreachable!("it is ready"),
        })
    });
    let addresses = addresses.await?;
    if addresses.is_empty() {
        return Err(ErrorCode::NameUnresolvable);
    }
    Ok(addresses)
}

/// Raises the count, unless it is `most`.
fn raise(count: &AtomicUsize, most: usize) -> bool {
    let one_more = |count| (count < most).then_some(count + 1);
    let raised = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    raised.is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(network) = self;
        network.n_lookups.fetch_sub(1, Ordering::Relaxed);
        network.of_pool.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answer {
    fn of(address: IpAddr) -> Self {
        Self::Addresses(vec![address].into_iter())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&mut Self> {
        if let Self::Awaited(resolving) = self {
            let resolved = std::task::ready!(std::pin::Pin::new(resolving).poll(context));
            *self = match resolved {
                Ok(Ok(addresses)) => Self::Addresses(addresses.into_iter()),
                Ok(Err(_)) => Self::Failed(ErrorCode::NameUnresolvable),
                // It panicked.
                Err(_) => Self::Failed(ErrorCode::PermanentResolverFailure),
            };
        }
        Poll::Ready(self)
    }
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        poll_fn(|context| self.answer.poll(context).map(|_| ())).await
    }
}

fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (name, 0).to_socket_addrs()?;
    Ok(addresses
        .map(|address| address.ip().to_canonical())
        .collect())
}

/// The interface of name look-ups, in the version of `wasmtime_wasi`.
const NAME_LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// The same in WASI 0.3.
const NAME_LOOKUP_3: &str = "wasi:sockets/ip-name-lookup@0.3.0";

/// Replaces the name look-up of `wasmtime_wasi`, which allows all names or none and does not tell
/// when the system has answered.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;

    linker.allow_shadowing(true);
    let mut names = linker.instance(NAME_LOOKUP)?;
    let of_lookups = ResourceType::host::<Lookup>();
    names.resource("resolve-address-stream", of_lookups, |mut store, handle| {
        let lookup = Resource::<Lookup>::new_own(handle);
        store.data_mut().names().sockets.table.delete(lookup)?;
        Ok(())
    })?;
    names.func_wrap(
        "resolve-addresses",
        |mut store: Store<'_>, (network, name): (Resource<network::Network>, String)| {
            outcome(store.data_mut().names().resolve_addresses(&network, &name))
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: Store<'_>, (lookup,): (Resource<Lookup>,)| {
            outcome(store.data_mut().names().resolve_next_address(&lookup))
        },
    )?;
    names.func_wrap(
        "[method]resolve-address-stream.subscribe",
        |mut store: Store<'_>, (lookup,): (Resource<Lookup>,)| {
            let names = store.data_mut().names();
            Ok((subscribe(names.sockets.table, lookup)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The same for WASI 0.3.
pub(crate) fn add_to_linker_3(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut names = linker.instance(NAME_LOOKUP_3)?;
    names.func_wrap_concurrent(
        "resolve-addresses",
        |accessor: &Accessor<State>, (name,): (String,)| {
            Box::pin(async move {
                let network = accessor.with(|mut store| store.data_mut().names().network);
                Ok((network.addresses(&name).await,))
            })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The outcome as the guest gets it, unless the error ends the guest.
fn outcome<T>(outcome: Result<T, SocketError>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    Ok((match outcome {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    },))
}

/// The host functions of name look-ups, for one guest.
pub(crate) struct Names<'a> {
    pub(crate) sockets: WasiSocketsCtxView<'a>,
    pub(crate) network: Arc<Network>,
}

impl Names<'_> {
    fn resolve_addresses(
        &mut self,
        network: &Resource<network::Network>,
        name: &str,
    ) -> Result<Resource<Lookup>, SocketError> {
        let ports = self.network.granted_ports(name)?;
        // The handle must exist. The right itself was checked above.
        self.sockets.table.get(network)?;
        let answer = self.network.look_up(name, resolve)?;
        Ok(self.sockets.table.push(Lookup { answer, ports })?)
    }

    fn resolve_next_address(
        &mut self,
        lookup: &Resource<Lookup>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let Lookup { answer, ports } = self.sockets.table.get_mut(lookup)?;
        match answer.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Answer::Addresses(addresses)) => Ok(addresses.next().map(|address| {
                self.network.tell(ports, address);
                told(address)
            })),
            Poll::Ready(Answer::Failed(code)) => Err((*code).into()),
            Poll::Ready(Answer::Awaited(_)) | Poll::Pending => Err(ErrorCode::WouldBlock.into()),
        }
    }
}

fn told(address: IpAddr) -> IpAddress {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            IpAddress::Ipv4((a, b, c, d))
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h] = address.segments();
            IpAddress::Ipv6((a, b, c, d, e, f, g, h))
        }
    }
}

/// The error of a look-up as WASI 0.3 has it.
fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::AccessDenied => Failure::AccessDenied,
        ErrorCode::InvalidArgument => Failure::InvalidArgument,
        ErrorCode::TemporaryResolverFailure => Failure::TemporaryResolverFailure,
        ErrorCode::PermanentResolverFailure => Failure::PermanentResolverFailure,
        _ => Failure::NameUnresolvable,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::mpsc;

    use super::*;

    /// Look-ups that are answered when the sender is dropped.
    struct Slow {
        network: Arc<Network>,
        answers: Vec<mpsc::Sender<()>>,
    }

    impl Slow {
        fn new(of_pool: &Arc<Lookups>) -> Self {
            Self {
                network: Arc::new(Network::new(&[], of_pool)),
                answers: Vec::new(),
            }
        }

        fn begin(&mut self) -> Result<Answer, ErrorCode> {
            let (answer, is_answered) = mpsc::channel::<()>();
            let begun = self.network.look_up("example.org", move |_| {
                let _ = is_answered.recv();
                Ok(vec![Ipv4Addr::LOCALHOST.into()])
            });
            self.answers.push(answer);
            begun
        }

        /// Begins look-ups until one is refused, and returns how many began.
        fn begin_all(&mut self) -> usize {
            std::iter::from_fn(|| self.begin().ok()).count()
        }
    }

    #[track_caller]
    fn wait_until(is_so: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !is_so() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
    }

    #[test]
    fn look_ups_have_places_until_the_system_has_answered() {
        let of_pool = Arc::<Lookups>::default();
        let mut instances = [(); 5].map(|()| Slow::new(&of_pool));
        // The handles are dropped at once, which frees no place.
        let begun = instances.each_mut().map(Slow::begin_all);
        assert_eq!(begun, [16, 16, 16, 16, 0]);
        let refused = instances[4].begin().err();
        assert_eq!(refused, Some(ErrorCode::TemporaryResolverFailure));
        // The end of the instance frees none either.
        let [first, .., last] = &mut instances;
        first.network = Arc::new(Network::new(&[], &of_pool));
        assert!(last.begin().is_err());
        first.answers.clear();
        wait_until(|| of_pool.0.load(Ordering::Relaxed) == 48);
        assert_eq!(last.begin_all(), 16);
        let answers = instances.map(|slow| slow.answers);
        drop(answers);
        wait_until(|| of_pool.0.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn an_address_is_its_own_answer() {
        let network = Arc::new(Network::new(&[], &Arc::default()));
        for (name, expected) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")] {
            let answer = network.look_up(name, |_| unreachable!());
            let Ok(Answer::Addresses(addresses)) = answer else {
                panic!("{name}");
            };
            assert_eq!(addresses.as_slice(), [expected.parse::<IpAddr>().unwrap()]);
        }
        let refused = network.look_up("not a name", |_| unreachable!()).err();
        assert_eq!(refused, Some(ErrorCode::InvalidArgument));
    }
}
