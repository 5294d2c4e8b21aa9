//! What a guest may reach of the network, and what it was refused.
//!
//! A guest gets connections to the addresses that were granted, and to those that belong to a
//! name that was granted, once it has looked that up here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup, network};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};

use super::store::State;
use crate::capabilities::{Host, NetGrant};
use crate::sync::{Arc, lock};

/// How many refusals are told. Who is refused more often has tried them all.
const MAX_REFUSALS: usize = 16;

/// How many addresses of names are kept. A guest can look the same name up over and over, and
/// be told new addresses each time.
const MAX_ADDRESSES: usize = 1024;

/// The network as one instance has it.
#[derive(Default)]
pub(super) struct Network {
    granted: Vec<NetGrant>,
    /// The addresses that the guest was told for names that were granted. Written by its
    /// look-ups, read when it connects.
    told: Mutex<Vec<SocketAddr>>,
    /// What it was refused; taken at the end of its task.
    refused: Mutex<Vec<String>>,
    /// The look-ups that are under way, by their handles, each with the ports that its name
    /// was granted with.
    lookups: Mutex<HashMap<u32, Vec<u16>>>,
}

impl Network {
    pub(super) fn new(granted: &[NetGrant]) -> Self {
        Self {
            granted: granted.to_owned(),
            ..Self::default()
        }
    }

    /// Lets the guest of `builder` use what was granted.
    pub(super) fn open(self: Arc<Self>, builder: &mut WasiCtxBuilder) {
        builder
            .allow_tcp(true)
            .allow_ip_name_lookup(true)
            .socket_addr_check(move |address, purpose| {
                Box::pin(std::future::ready(self.permits(address, purpose)))
            });
    }

    /// What was refused since this was asked last.
    pub(super) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.refused))
    }

    fn permits(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        let verb = match purpose {
            // What every connection begins with: any address and port of this machine.
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

    /// The ports that a name was granted with. One that was not has none.
    fn ports(&self, name: &str) -> Vec<u16> {
        let host = match name.parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) => Host::Name(name.to_ascii_lowercase()),
        };
        let grants = self.granted.iter().filter(|grant| grant.host == host);
        grants.map(|grant| grant.port).collect()
    }

    fn refuse(&self, what: String) {
        let mut refused = lock(&self.refused);
        if refused.len() < MAX_REFUSALS && !refused.contains(&what) {
            refused.push(what);
        }
    }

    /// The guest is told that the name it looks up has this address.
    fn tell(&self, lookup: u32, address: IpAddr) {
        let lookups = lock(&self.lookups);
        let mut told = lock(&self.told);
        for port in lookups.get(&lookup).into_iter().flatten() {
            let address = SocketAddr::new(address.to_canonical(), *port);
            if told.len() < MAX_ADDRESSES && !told.contains(&address) {
                told.push(address);
            }
        }
    }
}

/// Puts our look-up of names into the place of WASI's own, which knows all names or none.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<State, Names<'static>>(linker, State::names)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The look-up of names, for the guest that asks.
pub(super) struct Names<'a> {
    pub(super) sockets: WasiSocketsCtxView<'a>,
    pub(super) network: Arc<Network>,
}

impl HasData for Names<'static> {
    type Data<'a> = Names<'a>;
}

impl ip_name_lookup::Host for Names<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<network::Network>,
        name: String,
    ) -> Result<Resource<ip_name_lookup::ResolveAddressStream>, SocketError> {
        let ports = self.network.ports(&name);
        if ports.is_empty() {
            // As long as names get; the guest may have made one up of megabytes.
            let shown = name.floor_char_boundary(253);
            self.network.refuse(format!("look up `{}`", &name[..shown]));
            return Err(ErrorCode::AccessDenied.into());
        }
        let lookup = self.sockets.resolve_addresses(network, name)?;
        lock(&self.network.lookups).insert(lookup.rep(), ports);
        Ok(lookup)
    }
}

impl ip_name_lookup::HostResolveAddressStream for Names<'_> {
    fn resolve_next_address(
        &mut self,
        lookup: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let handle = lookup.rep();
        let address = self.sockets.resolve_next_address(lookup)?;
        if let Some(address) = &address {
            self.network.tell(handle, plain(address));
        }
        Ok(address)
    }

    fn subscribe(
        &mut self,
        lookup: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.sockets.subscribe(lookup)
    }

    fn drop(
        &mut self,
        lookup: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<()> {
        lock(&self.network.lookups).remove(&lookup.rep());
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.sockets, lookup)
    }
}

impl network::Host for Names<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.sockets.convert_error_code(error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.sockets.network_error_code(error)
    }
}

impl network::HostNetwork for Names<'_> {
    fn drop(&mut self, network: Resource<network::Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.sockets, network)
    }
}

fn plain(address: &IpAddress) -> IpAddr {
    match *address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}
