//! A DNS server of the outside world: fixed records, no recursion, and a few names that misbehave on purpose.
//!
//! It answers like a plain forwarder does: never authoritative, RD and RA always set, TTL 300 where nothing else is said, uncompressed names,
//! one step of CNAME, NXDOMAIN for a name without records, and over UDP nothing but the TC bit when the answer is
//! larger than 512 bytes or what EDNS offers, which is answered with an OPT record (RFC 6891). Sans-I/O: a query goes in, a message or nothing comes out.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{AnswerBuilder, OptBuilder, PushError};
use domain::base::{Header, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Aaaa, Cname, Mx, Ptr, Txt};
use thiserror::Error;

use crate::docker::dns_message::{Query, Transport, parse_name};

/// TTL of records that say none.
pub const OUTSIDE_TTL: Ttl = Ttl::from_secs(300);

/// The largest query that it takes by UDP, as its OPT record says.
const OWN_UDP_SIZE: u16 = 1232;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name to look under.
    Cname(String),
    /// The name of an address.
    Ptr(String),
    /// A mail exchange.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The exchange's name.
        exchange: String,
    },
    /// Text; more than 255 bytes become several strings.
    Txt(String),
}

/// How a name misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Never answers.
    Slow,
    /// Answers REFUSED.
    Refused,
    /// Answers SERVFAIL.
    ServerFailure,
}

/// A record that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a DNS name (labels of 1 to 63 characters, 253 in all), found `{name}`; correct the zone")]
pub struct InvalidName {
    /// The text found.
    pub name: String,
}

/// A record of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    data: RecordData,
    ttl: Ttl,
}

impl From<RecordData> for Record {
    fn from(data: RecordData) -> Self {
        Self { data, ttl: OUTSIDE_TTL }
    }
}

/// The server's records.
#[derive(Debug, Clone, Default)]
pub struct AuthorityZone {
    records: BTreeMap<String, Vec<Record>>,
    misbehaviours: BTreeMap<String, Misbehaviour>,
}

impl AuthorityZone {
    /// The records of the stage on which the real engine was observed.
    pub fn default_stage() -> Self {
        use RecordData::{A, Aaaa, Cname, Ptr, Txt};
        let address = |last| A(Ipv4Addr::new(198, 51, 100, last));
        let www = || "www.example.test".to_owned();
        let big = Txt("x".repeat(200));
        let records = [
            ("www.example.test", vec![address(7), Aaaa(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7))]),
            ("v4only.example.test", vec![address(7)]),
            ("multi.example.test", vec![address(7), address(8), address(9)]),
            ("7.100.51.198.in-addr.arpa", vec![Ptr(www())]),
            ("alias.example.test", vec![Cname(www())]),
            ("txt.example.test", vec![Txt("hello".to_owned())]),
            (
                "example.test",
                vec![RecordData::Mx { preference: 10, exchange: "mail.example.test".to_owned() }],
            ),
            ("short.corp.test", vec![address(20)]),
            ("uponly", vec![address(99)]),
            ("big.example.test", vec![big; 5]),
        ];
        let misbehaviours = [
            ("slow.example.test", Misbehaviour::Slow),
            ("refused.example.test", Misbehaviour::Refused),
            ("servfail.example.test", Misbehaviour::ServerFailure),
        ];
        Self {
            records: records
                .into_iter()
                .map(|(name, data)| (name.to_owned(), data.into_iter().map(Record::from).collect()))
                .collect(),
            misbehaviours: misbehaviours.into_iter().map(|(name, how)| (name.to_owned(), how)).collect(),
        }
    }

    /// Adds a record; the name may end with a dot and compares without case. `ttl` is in seconds, 300 if it is not given.
    pub fn add(&mut self, name: &str, data: RecordData, ttl: Option<u32>) -> Result<(), InvalidName> {
        let key = key(name)?;
        match &data {
            RecordData::Cname(target) | RecordData::Ptr(target) | RecordData::Mx { exchange: target, .. } => {
                self::key(target)?;
            }
            RecordData::A(_) | RecordData::Aaaa(_) | RecordData::Txt(_) => {}
        }
        let ttl = ttl.map_or(OUTSIDE_TTL, Ttl::from_secs);
        self.records.entry(key).or_default().push(Record { data, ttl });
        Ok(())
    }

    /// Forgets what a name has, and how it misbehaves.
    pub fn forget(&mut self, name: &str) -> Result<(), InvalidName> {
        let key = key(name)?;
        self.records.remove(&key);
        self.misbehaviours.remove(&key);
        Ok(())
    }

    /// Makes a name misbehave, whatever records it has.
    pub fn misbehave(&mut self, name: &str, how: Misbehaviour) -> Result<(), InvalidName> {
        self.misbehaviours.insert(key(name)?, how);
        Ok(())
    }

    /// Answers one message (without TCP length bytes). None: nothing is sent, ever.
    pub fn answer(&self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let query = Query::parse(message).ok()?;
        let name = query.name()?.to_ascii_lowercase();
        match self.misbehaviours.get(&name) {
            Some(Misbehaviour::Slow) => return None,
            Some(Misbehaviour::Refused) => return compose(&query, Rcode::REFUSED, false, &[]),
            Some(Misbehaviour::ServerFailure) => return compose(&query, Rcode::SERVFAIL, false, &[]),
            None => {}
        }
        let rcode = if self.records.contains_key(&name) { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        let reply = compose(&query, rcode, false, &self.matching(&query, &name))?;
        if reply.len() > query.reply_limit(transport) {
            return compose(&query, Rcode::NOERROR, true, &[]);
        }
        Some(reply)
    }

    /// The records that answer: the alias, if there is one, and what the final name has of the wanted type.
    fn matching(&self, query: &Query, name: &str) -> Vec<(Name<Vec<u8>>, &Record)> {
        let wanted = query.question.qtype();
        let asked = query.question.qname();
        let of = |name: &str| self.records.get(name).into_iter().flatten();
        let alias = of(name).find_map(|record| match &record.data {
            RecordData::Cname(target) => Some((record, target)),
            _ => None,
        });
        let (mut answers, owner, target) = match alias {
            None => (Vec::new(), Some(asked.clone()), name.to_owned()),
            Some((record, target)) => {
                let lower = target.trim_end_matches('.').to_ascii_lowercase();
                (vec![(asked.clone(), record)], parse_name(target), lower)
            }
        };
        if let Some(owner) = owner
            && wanted != Rtype::CNAME
        {
            answers.extend(
                of(&target)
                    .filter(|record| record.data.rtype() == wanted)
                    .map(|record| (owner.clone(), record)),
            );
        }
        answers
    }
}

impl RecordData {
    fn rtype(&self) -> Rtype {
        match self {
            Self::A(_) => Rtype::A,
            Self::Aaaa(_) => Rtype::AAAA,
            Self::Cname(_) => Rtype::CNAME,
            Self::Ptr(_) => Rtype::PTR,
            Self::Mx { .. } => Rtype::MX,
            Self::Txt(_) => Rtype::TXT,
        }
    }
}

fn compose(query: &Query, rcode: Rcode, tc: bool, answers: &[(Name<Vec<u8>>, &Record)]) -> Option<Vec<u8>> {
    let mut header = Header::new();
    header.set_id(query.header.id());
    header.set_opcode(Opcode::QUERY);
    header.set_qr(true);
    header.set_tc(tc);
    header.set_rd(true);
    header.set_ra(true);
    header.set_rcode(rcode);
    let mut builder = MessageBuilder::new_vec();
    builder.set_push_limit(usize::from(u16::MAX));
    *builder.header_mut() = header;
    let mut builder = builder.question();
    builder.push(&query.question).ok()?;
    let mut builder = builder.answer();
    for (owner, record) in answers {
        push(&mut builder, owner, record)?.ok()?;
    }
    let mut builder = builder.additional();
    if query.udp_size.is_some() {
        let write = |opt: &mut OptBuilder<Vec<u8>>| {
            opt.set_udp_payload_size(OWN_UDP_SIZE);
            Ok(())
        };
        builder.opt(write).ok()?;
    }
    Some(builder.finish())
}

/// None when the data holds an invalid name or text.
fn push(
    builder: &mut AnswerBuilder<Vec<u8>>,
    owner: &Name<Vec<u8>>,
    record: &Record,
) -> Option<Result<(), PushError>> {
    let (class, ttl) = (Class::IN, record.ttl);
    Some(match &record.data {
        RecordData::A(address) => builder.push((owner, class, ttl, A::new(*address))),
        RecordData::Aaaa(address) => builder.push((owner, class, ttl, Aaaa::new(*address))),
        RecordData::Cname(target) => builder.push((owner, class, ttl, Cname::new(parse_name(target)?))),
        RecordData::Ptr(target) => builder.push((owner, class, ttl, Ptr::new(parse_name(target)?))),
        RecordData::Mx { preference, exchange } => {
            builder.push((owner, class, ttl, Mx::new(*preference, parse_name(exchange)?)))
        }
        RecordData::Txt(text) => {
            let text: Txt<Vec<u8>> = Txt::build_from_slice(text.as_bytes()).ok()?;
            builder.push((owner, class, ttl, text))
        }
    })
}

fn key(name: &str) -> Result<String, InvalidName> {
    let valid = parse_name(name).ok_or_else(|| InvalidName { name: name.to_owned() })?;
    crate::docker::dns_message::name_text(&valid)
        .map(|text| text.to_ascii_lowercase())
        .ok_or_else(|| InvalidName { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::dns_message::question;
    use domain::base::{Message, ParsedName};
    use domain::rdata::AllRecordData;
    use proptest::prelude::*;

    fn ask_over(transport: Transport, name: &str, kind: Rtype) -> Vec<u8> {
        AuthorityZone::default_stage().answer(&question(5, name, kind).unwrap(), transport).unwrap()
    }

    fn ask(name: &str, kind: Rtype) -> Vec<u8> {
        ask_over(Transport::Udp, name, kind)
    }

    fn records(bytes: &[u8]) -> Vec<String> {
        let message = Message::from_slice(bytes).unwrap();
        let answer = message.answer().unwrap();
        answer
            .limit_to::<AllRecordData<&[u8], ParsedName<&[u8]>>>()
            .map(|record| {
                let record = record.unwrap();
                assert_eq!(record.ttl(), OUTSIDE_TTL);
                format!("{} {} {}", record.owner(), record.rtype(), record.data())
            })
            .collect()
    }

    #[test]
    fn known_names_are_answered_as_on_the_stage() {
        let cases: [(&str, Rtype, &[&str]); 8] = [
            ("www.example.test", Rtype::A, &["www.example.test A 198.51.100.7"]),
            ("www.example.test", Rtype::AAAA, &["www.example.test AAAA 2001:db8::7"]),
            ("v4only.example.test", Rtype::AAAA, &[]),
            (
                "ALIAS.example.test",
                Rtype::A,
                &["ALIAS.example.test CNAME www.example.test.", "www.example.test A 198.51.100.7"],
            ),
            ("alias.example.test", Rtype::CNAME, &["alias.example.test CNAME www.example.test."]),
            ("example.test", Rtype::MX, &["example.test MX 10 mail.example.test."]),
            ("7.100.51.198.in-addr.arpa", Rtype::PTR, &["7.100.51.198.in-addr.arpa PTR www.example.test."]),
            ("txt.example.test", Rtype::TXT, &["txt.example.test TXT \"hello\""]),
        ];
        for (name, kind, expected) in cases {
            let bytes = ask(name, kind);
            assert_eq!(&bytes[..4], &[0, 5, 0x81, 0x80], "{name} {kind}");
            assert_eq!(records(&bytes), expected);
        }
        assert_eq!(records(&ask("multi.example.test", Rtype::A)).len(), 3);
        // The forwarded packet of the oracle is this long.
        assert_eq!(ask("www.example.test", Rtype::A).len(), 66);
    }

    #[test]
    fn unknown_and_misbehaving_names() {
        assert_eq!(&ask("nx.example.test", Rtype::A)[2..4], &[0x81, 0x83]);
        assert_eq!(&ask("refused.example.test", Rtype::A)[2..4], &[0x81, 0x85]);
        assert_eq!(&ask("servfail.example.test", Rtype::A)[2..4], &[0x81, 0x82]);
        let slow = question(5, "slow.example.test", Rtype::A).unwrap();
        assert_eq!(AuthorityZone::default_stage().answer(&slow, Transport::Udp), None);
    }

    #[test]
    fn a_large_answer_needs_tcp() {
        let udp = ask("big.example.test", Rtype::TXT);
        assert_eq!(&udp[2..4], &[0x83, 0x80]);
        assert_eq!(records(&udp).len(), 0);
        assert_eq!(records(&ask_over(Transport::Tcp, "big.example.test", Rtype::TXT)).len(), 5);
    }

    #[test]
    fn records_can_be_added_and_bad_names_are_refused() {
        let mut zone = AuthorityZone::default();
        zone.add("Host.Test.", RecordData::A(Ipv4Addr::LOCALHOST), None).unwrap();
        zone.misbehave("off.test", Misbehaviour::Refused).unwrap();
        let reply = zone.answer(&question(1, "host.test", Rtype::A).unwrap(), Transport::Udp).unwrap();
        assert_eq!(records(&reply), ["host.test A 127.0.0.1"]);
        let bad = zone.add("a", RecordData::Cname("b..c".to_owned()), None).unwrap_err();
        assert_eq!(bad.name, "b..c");
        assert!(zone.misbehave(&"x".repeat(64), Misbehaviour::Slow).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(reply) = AuthorityZone::default_stage().answer(&bytes, Transport::Udp) {
                prop_assert!(Message::from_slice(&reply).unwrap().header().qr());
            }
        }
    }
}
