//! The stub resolver all programs share: addresses as text, then `/etc/hosts`, then the servers of
//! `/etc/resolv.conf`, as glibc does it (`resolv.conf(5)`).
//!
//! A and AAAA are asked for in parallel. A server that does not answer within its time, refuses or fails makes way for
//! the next; a name that does not exist makes way for the next search domain; a cut answer is asked for again by TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use domain::base::iana::{Rcode, Rtype};

use super::dns::{self, Data, Edns, Reply};
use super::tasks::both;
use crate::engine::sys::{Errno, Sys};

/// Where the DNS listens (RFC 1035 section 4.2).
pub(crate) const DNS_PORT: u16 = 53;

/// Which addresses are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Both kinds, IPv4 first.
    Any,
    /// A records only.
    Ipv4,
    /// AAAA records only.
    Ipv6,
}

/// Why a name has no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResolveError {
    /// The name does not exist, or has no address of the kind wanted.
    NotFound,
    /// No server answered.
    TryAgain,
}

/// `/etc/resolv.conf` taken apart; what it does not say has glibc's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StubConfig {
    /// Servers in order, at most three.
    pub(crate) servers: Vec<IpAddr>,
    /// Search domains in order.
    pub(crate) search: Vec<String>,
    /// Names with at least as many dots are tried as they are first.
    pub(crate) ndots: usize,
    /// How long the first server may take.
    pub(crate) timeout: Duration,
    /// How often the list of servers is gone through.
    pub(crate) attempts: u32,
}

impl StubConfig {
    /// The configuration of the container or host the program runs in.
    pub(crate) fn of(sys: &Sys) -> StubConfig {
        let content = sys.read_file("/etc/resolv.conf").unwrap_or_default();
        StubConfig::parse(&String::from_utf8_lossy(&content))
    }

    /// Reads the text of a resolv.conf; lines that say nothing known are skipped, as glibc does.
    pub(crate) fn parse(text: &str) -> StubConfig {
        let mut config = StubConfig {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    config.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search") => {
                    config.search = words.map(|word| word.trim_end_matches('.').to_owned()).collect()
                }
                Some("domain") => config.search = words.take(1).map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| config.option(word)),
                _ => {}
            }
        }
        config.search.retain(|domain| !domain.is_empty());
        config.servers.truncate(MAX_SERVERS);
        if config.servers.is_empty() {
            config.servers.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        config
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match name {
            // The limits are glibc's (resolv.conf(5)).
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The names to ask for, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(absolute) = name.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let position = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(position, name.to_owned());
        names
    }

    /// How long the server with this index may take: glibc doubles the time per server and shares it among them.
    fn patience(&self, index: usize) -> Duration {
        let total = self.timeout.saturating_mul(1 << index.min(4));
        let shared = if index == 0 { total } else { total / self.servers.len().max(1) as u32 };
        shared.max(Duration::from_secs(1))
    }
}

/// glibc's MAXNS.
const MAX_SERVERS: usize = 3;

/// The addresses of a name in the order in which they are tried.
pub(crate) async fn resolve(sys: &Sys, name: &str, want: Want) -> Result<Vec<IpAddr>, ResolveError> {
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return if wanted(address, want) { Ok(vec![address]) } else { Err(ResolveError::NotFound) };
    }
    let local: Vec<IpAddr> = hosts(sys)
        .into_iter()
        .filter(|(address, names)| {
            wanted(*address, want) && names.iter().any(|n| n.eq_ignore_ascii_case(name))
        })
        .map(|(address, _)| address)
        .collect();
    if !local.is_empty() {
        return Ok(ipv4_first(local));
    }
    let config = StubConfig::of(sys);
    for candidate in config.candidates(name) {
        let addresses = match want {
            Want::Ipv4 => addresses(sys, &config, &candidate, Rtype::A).await?,
            Want::Ipv6 => addresses(sys, &config, &candidate, Rtype::AAAA).await?,
            Want::Any => {
                let a = addresses(sys, &config, &candidate, Rtype::A);
                let aaaa = addresses(sys, &config, &candidate, Rtype::AAAA);
                match both(a, aaaa).await {
                    (Ok(a), Ok(aaaa)) => best_first(sys, [a, aaaa].concat()),
                    (Ok(found), Err(_)) | (Err(_), Ok(found)) if !found.is_empty() => found,
                    (Err(error), _) | (_, Err(error)) => return Err(error),
                }
            }
        };
        if !addresses.is_empty() {
            return Ok(addresses);
        }
    }
    Err(ResolveError::NotFound)
}

/// The name of an address: `/etc/hosts`, then a PTR record.
pub(crate) async fn reverse(sys: &Sys, address: IpAddr) -> Option<String> {
    let local = hosts(sys).into_iter().find(|(known, _)| *known == address);
    if let Some(name) = local.and_then(|(_, names)| names.into_iter().next()) {
        return Some(name);
    }
    let config = StubConfig::of(sys);
    let reply = ask_servers(sys, &config, &dns::reverse_name(address), Rtype::PTR).await.ok()?;
    reply.answers.into_iter().find_map(|record| match record.data {
        Data::Pointer(name) => Some(name),
        _ => None,
    })
}

/// How BusyBox names a peer that it cannot connect to: with its address if that is of IPv4.
pub(crate) fn remote_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("remote host ({address})"),
        IpAddr::V6(_) => "remote host".to_owned(),
    }
}

/// The address and names of every line of `/etc/hosts`, in order. An IPv4 address in the form of an IPv6 one is what it
/// stands for, as with the C library.
pub(crate) fn hosts(sys: &Sys) -> Vec<(IpAddr, Vec<String>)> {
    let content = sys.read_file("/etc/hosts").unwrap_or_default();
    let content = String::from_utf8_lossy(&content).into_owned();
    let entry = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        Some((address.to_canonical(), words.map(str::to_owned).collect()))
    };
    content.lines().filter_map(entry).collect()
}

/// How a server is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// It is to ask others (RD).
    pub(crate) recursive: bool,
    /// By TCP from the start.
    pub(crate) tcp: bool,
    /// An answer that was cut will do.
    pub(crate) ignore_truncation: bool,
    /// The OPT record of the question.
    pub(crate) edns: Option<Edns>,
}

impl Manner {
    /// As the C library asks.
    pub(crate) const STUB: Manner =
        Manner { recursive: true, tcp: false, ignore_truncation: false, edns: None };
}

/// Asks one server once as [`ask_once`] does, and with the same query by TCP if the answer was cut.
pub(crate) async fn ask(
    sys: &Sys,
    server: SocketAddr,
    name: &str,
    rtype: Rtype,
    patience: Duration,
    manner: Manner,
) -> Result<Option<Reply>, Errno> {
    let (id, query) = query(sys, name, rtype, manner)?;
    match exchange(sys, server, &query, id, patience, manner.tcp).await? {
        Some(reply) if reply.truncated && !manner.tcp && !manner.ignore_truncation => {
            let whole = exchange(sys, server, &query, id, patience, true).await?;
            Ok(whole.or(Some(reply)))
        }
        reply => Ok(reply),
    }
}

/// Asks one server once, by UDP or TCP. `Ok(None)`: no answer in time.
pub(crate) async fn ask_once(
    sys: &Sys,
    server: SocketAddr,
    name: &str,
    rtype: Rtype,
    patience: Duration,
    manner: Manner,
) -> Result<Option<Reply>, Errno> {
    let (id, query) = query(sys, name, rtype, manner)?;
    exchange(sys, server, &query, id, patience, manner.tcp).await
}

fn query(sys: &Sys, name: &str, rtype: Rtype, manner: Manner) -> Result<(u16, Vec<u8>), Errno> {
    let id = (sys.random() & 0xffff) as u16;
    let mut query = dns::question(id, name, rtype, manner.edns).ok_or(Errno::InvalidArgument)?;
    if !manner.recursive
        && let Some(flags) = query.get_mut(2)
    {
        *flags &= !1;
    }
    Ok((id, query))
}

async fn exchange(
    sys: &Sys,
    server: SocketAddr,
    query: &[u8],
    id: u16,
    patience: Duration,
    tcp: bool,
) -> Result<Option<Reply>, Errno> {
    if tcp {
        return Ok(sys.timeout(patience, ask_by_tcp(sys, server, query, id)).await.transpose()?.flatten());
    }
    let socket = sys.udp_socket()?;
    socket.connect(server)?;
    socket.send(query)?;
    let answer = async {
        loop {
            if let Some(reply) = dns::parse(&socket.receive().await?.payload, id) {
                return Ok::<Reply, Errno>(reply);
            }
        }
    };
    sys.timeout(patience, answer).await.transpose()
}

async fn ask_by_tcp(sys: &Sys, server: SocketAddr, query: &[u8], id: u16) -> Result<Option<Reply>, Errno> {
    let stream = sys.tcp_connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| Errno::MessageTooLong)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut received = Vec::new();
    loop {
        if let Some((length, rest)) = received.split_first_chunk::<2>()
            && let Some(message) = rest.get(..usize::from(u16::from_be_bytes(*length)))
        {
            return Ok(dns::parse(message, id));
        }
        let part = stream.read(65_537).await?;
        if part.is_empty() {
            return Ok(None);
        }
        received.extend(part);
    }
}

/// Goes through the servers until one gives an answer that says something.
pub(crate) async fn ask_servers(
    sys: &Sys,
    config: &StubConfig,
    name: &str,
    rtype: Rtype,
) -> Result<Reply, ResolveError> {
    let mut failed = None;
    for _ in 0..config.attempts {
        for (index, server) in config.servers.iter().enumerate() {
            let server = SocketAddr::new(*server, DNS_PORT);
            let Ok(Some(reply)) = ask(sys, server, name, rtype, config.patience(index), Manner::STUB).await
            else {
                continue;
            };
            match reply.rcode {
                Rcode::SERVFAIL | Rcode::REFUSED | Rcode::NOTIMP => failed = Some(reply),
                _ => return Ok(reply),
            }
        }
        if failed.is_some() {
            break;
        }
    }
    failed.ok_or(ResolveError::TryAgain)
}

async fn addresses(
    sys: &Sys,
    config: &StubConfig,
    name: &str,
    rtype: Rtype,
) -> Result<Vec<IpAddr>, ResolveError> {
    let reply = ask_servers(sys, config, name, rtype).await?;
    let address = |data: &Data| match data {
        Data::Address(address) => Some(*address),
        _ => None,
    };
    Ok(reply.answers.iter().filter(|r| r.rtype == rtype).filter_map(|r| address(&r.data)).collect())
}

fn wanted(address: IpAddr, want: Want) -> bool {
    match want {
        Want::Any => true,
        Want::Ipv4 => address.is_ipv4(),
        Want::Ipv6 => address.is_ipv6(),
    }
}

/// Sorts as glibc does (RFC 3484): what there is a way to first, then what has the label of the source address that would be
/// used, then by precedence, which is higher for IPv6.
fn best_first(sys: &Sys, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_by_key(|address| {
        let Ok(route) = sys.route_to(*address) else { return (true, true, address.is_ipv4()) };
        let own = route.source.map_or(label(*address), label);
        (false, own != label(*address), address.is_ipv4())
    });
    addresses
}

/// Of a name that is in `/etc/hosts` for both, IPv4 is taken: most programs try `127.0.0.1` when `::1` does not answer, those
/// here try one address.
fn ipv4_first(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

/// glibc's table of labels (gai.conf(5)).
fn label(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 4,
        IpAddr::V6(address) if address.is_loopback() => 0,
        IpAddr::V6(address) => match address.segments() {
            [0x2001, 0, ..] => 7,
            [0x2002, ..] => 2,
            [0xfc00..=0xfdff, ..] => 6,
            [0xfec0..=0xfeff, ..] => 5,
            _ => 1,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_with_glibc_limits() {
        let text = "; comment\nsearch a.test b.test.\nnameserver 127.0.0.11\nnameserver bad\nnameserver ::1\n\
                    options ndots:0 timeout:99 attempts:1 rotate\n";
        let config = StubConfig::parse(text);
        let servers: Vec<IpAddr> = vec!["127.0.0.11".parse().unwrap(), "::1".parse().unwrap()];
        let expected = StubConfig {
            servers,
            search: vec!["a.test".to_owned(), "b.test".to_owned()],
            ndots: 0,
            timeout: Duration::from_secs(30),
            attempts: 1,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn ndots_decides_whether_the_name_itself_comes_first() {
        let mut config = StubConfig::parse("search x.test\n");
        assert_eq!(config.candidates("web"), ["web.x.test", "web"]);
        assert_eq!(config.candidates("web.a"), ["web.a", "web.a.x.test"]);
        assert_eq!(config.candidates("web."), ["web"]);
        config.ndots = 0;
        assert_eq!(config.candidates("web"), ["web", "web.x.test"]);
    }

    #[test]
    fn reverse_names_follow_the_rfcs() {
        assert_eq!(dns::reverse_name("172.31.0.3".parse().unwrap()), "3.0.31.172.in-addr.arpa");
        let name = dns::reverse_name("2001:db8::7".parse().unwrap());
        assert_eq!(name, "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }
}
