//! DNS messages as a client needs them (RFC 1035): a question out, an answer in. The `domain` crate reads and writes
//! the wire format.

use std::fmt;
use std::net::IpAddr;

use domain::base::iana::{Rcode, Rtype};
use domain::base::message_builder::OptBuilder;
use domain::base::{Message, MessageBuilder, Name, ParsedName};
use domain::rdata::AllRecordData;

/// An answer as far as programs print it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    /// The response code.
    pub(crate) rcode: Rcode,
    /// The message id.
    pub(crate) id: u16,
    /// The flags that are set, in dig's order and words.
    pub(crate) flags: Vec<&'static str>,
    /// The answer is authoritative.
    pub(crate) authoritative: bool,
    /// The answer was cut; TCP brings it whole.
    pub(crate) truncated: bool,
    /// Records of question, answer, authority and additional sections.
    pub(crate) counts: [u16; 4],
    /// The answer section.
    pub(crate) answers: Vec<Record>,
    /// Its OPT record (RFC 6891): version and UDP payload size.
    pub(crate) edns: Option<Edns>,
    /// Length of the message in bytes.
    pub(crate) size: usize,
}

/// What an OPT record says (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The version.
    pub(crate) version: u8,
    /// The largest message that its sender takes by UDP.
    pub(crate) size: u16,
}

/// A resource record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The owner's name without trailing dot.
    pub(crate) owner: String,
    /// Time to live in seconds.
    pub(crate) ttl: u32,
    /// Its type.
    pub(crate) rtype: Rtype,
    /// What it says.
    pub(crate) data: Data,
}

/// The data of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME.
    Alias(String),
    /// PTR.
    Pointer(String),
    /// NS.
    NameServer(String),
    /// MX: preference and host.
    Mail(u16, String),
    /// TXT: its strings.
    Text(Vec<String>),
    /// SRV: priority, weight, port, target.
    Service(u16, u16, u16, String),
    /// SOA: primary server, mailbox, then serial, refresh, retry, expire, minimum.
    Start(String, String, [u32; 5]),
    /// Anything else, as a zone file shows it.
    Other(String),
}

/// A recursive query, with an OPT record if `edns`; `None` if the name cannot be asked for.
pub(crate) fn question(id: u16, name: &str, rtype: Rtype, edns: Option<Edns>) -> Option<Vec<u8>> {
    let name: Name<Vec<u8>> = if name.contains('\\') { None } else { name.parse().ok() }?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((name, rtype)).ok()?;
    let mut builder = builder.additional();
    if let Some(edns) = edns {
        let write = |opt: &mut OptBuilder<Vec<u8>>| {
            opt.set_udp_payload_size(edns.size);
            opt.set_version(edns.version);
            Ok(())
        };
        builder.opt(write).ok()?;
    }
    Some(builder.finish())
}

/// Reads the answer to query `id`; `None` if it is not one.
pub(crate) fn parse(message: &[u8], id: u16) -> Option<Reply> {
    let parsed = Message::from_slice(message).ok()?;
    let header = parsed.header();
    if !header.qr() || header.id() != id {
        return None;
    }
    let mut answers = Vec::new();
    for record in parsed.answer().ok()? {
        let Ok(record) = record else { break };
        let (owner, ttl, rtype) = (text(&record.owner()), record.ttl().as_secs(), record.rtype());
        if let Ok(Some(record)) = record.into_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>() {
            answers.push(Record { owner, ttl, rtype, data: data(record.data()) });
        }
    }
    let flags = [
        (header.qr(), "qr"),
        (header.aa(), "aa"),
        (header.tc(), "tc"),
        (header.rd(), "rd"),
        (header.ra(), "ra"),
        (header.ad(), "ad"),
        (header.cd(), "cd"),
    ];
    let counts = parsed.header_counts();
    Some(Reply {
        rcode: header.rcode(),
        id,
        flags: flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect(),
        authoritative: header.aa(),
        truncated: header.tc(),
        counts: [counts.qdcount(), counts.ancount(), counts.nscount(), counts.arcount()],
        answers,
        edns: parsed.opt().map(|opt| Edns { version: opt.version(), size: opt.udp_payload_size() }),
        size: message.len(),
    })
}

/// The name that is asked for an address's PTR record.
pub(crate) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

/// The usual name of a response code.
pub(crate) fn rcode_name(rcode: Rcode) -> String {
    match rcode {
        Rcode::NOERROR => "NOERROR".to_owned(),
        Rcode::FORMERR => "FORMERR".to_owned(),
        Rcode::SERVFAIL => "SERVFAIL".to_owned(),
        Rcode::NXDOMAIN => "NXDOMAIN".to_owned(),
        Rcode::NOTIMP => "NOTIMP".to_owned(),
        Rcode::REFUSED => "REFUSED".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Display for Data {
    /// The data as a zone file shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Address(address) => write!(f, "{address}"),
            Data::Alias(name) | Data::Pointer(name) | Data::NameServer(name) => write!(f, "{name}."),
            Data::Mail(preference, host) => write!(f, "{preference} {host}."),
            Data::Text(strings) => {
                let quoted: Vec<String> = strings.iter().map(|text| format!("\"{text}\"")).collect();
                f.write_str(&quoted.join(" "))
            }
            Data::Service(priority, weight, port, target) => {
                write!(f, "{priority} {weight} {port} {target}.")
            }
            Data::Start(server, mailbox, [serial, refresh, retry, expire, minimum]) => {
                write!(f, "{server}. {mailbox}. {serial} {refresh} {retry} {expire} {minimum}")
            }
            Data::Other(text) => f.write_str(text),
        }
    }
}

fn data(data: &AllRecordData<&[u8], ParsedName<&[u8]>>) -> Data {
    match data {
        AllRecordData::A(a) => Data::Address(IpAddr::V4(a.addr())),
        AllRecordData::Aaaa(a) => Data::Address(IpAddr::V6(a.addr())),
        AllRecordData::Cname(name) => Data::Alias(text(name.cname())),
        AllRecordData::Ptr(name) => Data::Pointer(text(name.ptrdname())),
        AllRecordData::Ns(name) => Data::NameServer(text(name.nsdname())),
        AllRecordData::Mx(mx) => Data::Mail(mx.preference(), text(mx.exchange())),
        AllRecordData::Txt(txt) => {
            Data::Text(txt.iter().map(|string| String::from_utf8_lossy(string).into_owned()).collect())
        }
        AllRecordData::Srv(srv) => {
            Data::Service(srv.priority(), srv.weight(), srv.port(), text(srv.target()))
        }
        AllRecordData::Soa(soa) => Data::Start(
            text(soa.mname()),
            text(soa.rname()),
            [
                soa.serial().into_int(),
                soa.refresh().as_secs(),
                soa.retry().as_secs(),
                soa.expire().as_secs(),
                soa.minimum().as_secs(),
            ],
        ),
        other => Data::Other(other.to_string()),
    }
}

fn text(name: &impl fmt::Display) -> String {
    let text = name.to_string();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}
