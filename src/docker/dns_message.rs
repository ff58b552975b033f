//! DNS messages on the wire (RFC 1035), as far as Docker's resolver and the outside servers need them: reading a
//! query, writing an answer with the engine's limits, and rewriting a relayed reply with compressed names.
//!
//! The `domain` crate does the parsing and composing. A message here never carries the two length bytes of TCP;
//! [`frame`] adds them and [`TcpMessages`] takes a stream apart.

use std::net::{IpAddr, Ipv6Addr};

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{AnswerBuilder, PushError, TreeCompressor};
use domain::base::wire::Composer;
use domain::base::{Header, Message, MessageBuilder, Name, ParsedName, Question, ToName, Ttl};
use domain::rdata::{A, Aaaa, AllRecordData, Ptr};
use thiserror::Error;

/// The largest UDP answer to a client that did not say more (RFC 1035 section 2.3.4).
pub const MIN_UDP_SIZE: u16 = 512;

/// Room for a header, a question and an answer or two.
const USUAL_REPLY: usize = 128;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream of messages, each behind a two-byte length.
    Tcp,
}

/// Why a message is not a query that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum QueryError {
    /// Less than a header.
    #[error("a DNS message has at least 12 bytes, found {found}; send a whole message")]
    Short {
        /// Bytes found.
        found: usize,
    },
    /// The QR bit is set.
    #[error("expected a query, found a response (QR bit set)")]
    Response,
    /// The question count is zero, or the first question cannot be read.
    #[error("expected a question after the header, found none that can be read")]
    NoQuestion,
}

/// What a resolver looks at in a query: the header, the first question and the EDNS size.
#[derive(Debug, Clone)]
pub struct Query {
    /// The header as received.
    pub header: Header,
    /// The first question; the name keeps its case.
    pub question: Question<Name<Vec<u8>>>,
    /// The UDP payload size of an EDNS client (RFC 6891).
    pub udp_size: Option<u16>,
}

/// One record of a local answer; the owner is the name asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A PTR record.
    Pointer(Name<Vec<u8>>),
}

/// What happens to an answer that is larger than the client accepts; records are cut from the end either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversize {
    /// Cut the uncompressed message.
    Cut,
    /// Compress names first and cut what still does not fit.
    CompressThenCut,
}

/// The head of a reply, apart from what it copies from the query.
#[derive(Debug, Clone, Copy)]
pub struct ReplyHead {
    /// The response code.
    pub rcode: Rcode,
    /// The RA bit.
    pub recursion_available: bool,
}

/// An outside server's reply, rewritten as the engine sends it on.
#[derive(Debug, Clone)]
pub struct Relayed {
    /// The message with compressed names.
    pub bytes: Vec<u8>,
    /// The message id.
    pub id: u16,
    /// The response code.
    pub rcode: Rcode,
    /// The AA bit.
    pub authoritative: bool,
    /// Owner (no trailing dot) and address of every A and AAAA record in the answer.
    pub addresses: Vec<(String, IpAddr)>,
}

impl Query {
    /// Reads a query; later questions and sections are not looked at, except for EDNS.
    pub fn parse(bytes: &[u8]) -> Result<Self, QueryError> {
        let message = Message::from_slice(bytes).map_err(|_| QueryError::Short { found: bytes.len() })?;
        let header = message.header();
        if header.qr() {
            return Err(QueryError::Response);
        }
        let first = message.first_question().ok_or(QueryError::NoQuestion)?;
        let name: Name<Vec<u8>> = first.qname().to_name();
        Ok(Self {
            header,
            question: Question::new(name, first.qtype(), first.qclass()),
            udp_size: (message.header_counts().arcount() > 0)
                .then(|| message.opt().map(|opt| opt.udp_payload_size()))
                .flatten(),
        })
    }

    /// The name asked, without the trailing dot and in the case asked. None when a label holds a dot or anything
    /// else that no host name has, so that no such name can be mistaken for another.
    pub fn name(&self) -> Option<String> {
        name_text(self.question.qname())
    }

    /// The largest answer the client takes.
    pub fn reply_limit(&self, transport: Transport) -> usize {
        match transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => usize::from(self.udp_size.unwrap_or(MIN_UDP_SIZE).max(MIN_UDP_SIZE)),
        }
    }

    /// Writes a reply of at most `limit` bytes: id, opcode, RD, CD and the question copied, AA clear, no additional
    /// section. TC is set when records were left out. None only if not even the question fits.
    pub fn reply(
        &self,
        head: ReplyHead,
        answers: &[Answer],
        ttl: Ttl,
        limit: usize,
        oversize: Oversize,
    ) -> Option<Vec<u8>> {
        let plain = self.compose(Vec::with_capacity(USUAL_REPLY), head, answers, ttl, limit)?;
        if !plain.truncated || oversize == Oversize::Cut {
            return Some(plain.target);
        }
        let packed = self.compose(TreeCompressor::new(Vec::new()), head, answers, ttl, limit)?;
        Some(packed.target.into_target())
    }

    fn compose<T: Composer>(
        &self,
        target: T,
        head: ReplyHead,
        answers: &[Answer],
        ttl: Ttl,
        limit: usize,
    ) -> Option<Composed<T>> {
        let mut builder = MessageBuilder::from_target(target).ok()?;
        builder.set_push_limit(limit);
        *builder.header_mut() = self.reply_header(head);
        let mut builder = builder.question();
        builder.push(&self.question).ok()?;
        let mut builder = builder.answer();
        let mut truncated = false;
        for answer in answers {
            if self.push(&mut builder, answer, ttl).is_err() {
                builder.header_mut().set_tc(true);
                truncated = true;
                break;
            }
        }
        Some(Composed { target: builder.finish(), truncated })
    }

    fn push<T: Composer>(
        &self,
        builder: &mut AnswerBuilder<T>,
        answer: &Answer,
        ttl: Ttl,
    ) -> Result<(), PushError> {
        let owner = self.question.qname();
        match answer {
            Answer::Address(IpAddr::V4(address)) => builder.push((owner, Class::IN, ttl, A::new(*address))),
            Answer::Address(IpAddr::V6(address)) => {
                builder.push((owner, Class::IN, ttl, Aaaa::new(*address)))
            }
            Answer::Pointer(name) => builder.push((owner, Class::IN, ttl, Ptr::new(name))),
        }
    }

    fn reply_header(&self, head: ReplyHead) -> Header {
        let mut header = Header::new();
        header.set_id(self.header.id());
        header.set_qr(true);
        header.set_opcode(self.header.opcode());
        header.set_rcode(head.rcode);
        header.set_ra(head.recursion_available);
        if self.header.opcode() == Opcode::QUERY {
            header.set_rd(self.header.rd());
            header.set_cd(self.header.cd());
        }
        header
    }
}

struct Composed<T> {
    target: T,
    truncated: bool,
}

/// Reads a response whole and writes it again with compressed names. None when it is not a response or any part
/// of it cannot be read.
pub fn relay(bytes: &[u8]) -> Option<Relayed> {
    let message = Message::from_octets(bytes).ok()?;
    let header = message.header();
    if !header.qr() {
        return None;
    }
    let mut addresses = Vec::new();
    let mut builder = MessageBuilder::from_target(TreeCompressor::new(Vec::new())).ok()?;
    *builder.header_mut() = header;
    let mut builder = builder.question();
    for question in message.question() {
        builder.push(question.ok()?).ok()?;
    }
    let mut builder = builder.answer();
    for record in message.answer().ok()? {
        let record = record.ok()?.into_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().ok()?;
        let address = match record.data() {
            AllRecordData::A(data) => Some(IpAddr::V4(data.addr())),
            AllRecordData::Aaaa(data) => Some(IpAddr::V6(data.addr())),
            _ => None,
        };
        if let (Some(owner), Some(address)) = (name_text(record.owner()), address) {
            addresses.push((owner, address));
        }
        builder.push(record).ok()?;
    }
    let mut builder = builder.authority();
    for record in message.authority().ok()? {
        builder.push(record.ok()?.into_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().ok()?).ok()?;
    }
    let mut builder = builder.additional();
    for record in message.additional().ok()? {
        builder.push(record.ok()?.into_any_record::<AllRecordData<&[u8], ParsedName<&[u8]>>>().ok()?).ok()?;
    }
    Some(Relayed {
        bytes: builder.finish().into_target(),
        id: header.id(),
        rcode: header.rcode(),
        authoritative: header.aa(),
        addresses,
    })
}

/// A recursive query for one name, as a stub resolver sends it. None when `name` is no valid DNS name.
pub fn question(id: u16, name: &str, kind: Rtype) -> Option<Vec<u8>> {
    let name = parse_name(name)?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder.push((name, kind)).ok()?;
    Some(builder.finish())
}

/// A name from its text, with or without the trailing dot.
pub fn parse_name(text: &str) -> Option<Name<Vec<u8>>> {
    if text.contains('\\') {
        return None;
    }
    plain_name(text).or_else(|| text.parse().ok())
}

/// A name of letters, digits, hyphens and underscores, which most are: written as it goes on the wire.
fn plain_name(text: &str) -> Option<Name<Vec<u8>>> {
    let mut octets = Vec::with_capacity(text.len() + 2);
    for label in text.strip_suffix('.').unwrap_or(text).split('.') {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if label.is_empty() || label.len() > 63 || !label.as_bytes().iter().all(is_plain) {
            return None;
        }
        octets.push(label.len() as u8);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    Name::from_octets(octets).ok()
}

/// A name's text without the trailing dot; None when a label could not be told from another name in text.
pub fn name_text<N: ToName>(name: &N) -> Option<String> {
    let mut text = String::with_capacity(usize::from(name.compose_len()));
    for label in name.iter_labels().filter(|label| !label.is_root()) {
        if !text.is_empty() {
            text.push('.');
        }
        let octets = label.as_slice();
        if octets.iter().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'.' | b'\\')) {
            return None;
        }
        text.push_str(std::str::from_utf8(octets).ok()?);
    }
    Some(text)
}

/// The address in a reverse name `4.3.2.1.in-addr.arpa` (RFC 1035 section 3.5) or `….ip6.arpa` (RFC 3596
/// section 2.5), given without the trailing dot.
pub fn reverse_address(name: &str) -> Option<IpAddr> {
    if let Some(labels) = without_suffix(name, ".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut labels = labels.rsplit('.');
        for octet in &mut octets {
            *octet = decimal(labels.next()?)?;
        }
        return labels.next().is_none().then(|| IpAddr::from(octets));
    }
    let mut labels = without_suffix(name, ".ip6.arpa")?.rsplit('.');
    let mut value = 0u128;
    for _ in 0..32 {
        let [nibble] = labels.next()?.as_bytes() else { return None };
        value = value << 4 | u128::from(char::from(*nibble).to_digit(16)?);
    }
    labels.next().is_none().then(|| IpAddr::V6(Ipv6Addr::from(value)))
}

/// `name` without `suffix`, which is written in small letters and found in any.
fn without_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// An octet of an address: digits alone, and no leading zero.
fn decimal(text: &str) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// A message with its two length bytes in front, as it goes into a TCP stream (RFC 1035 section 4.2.2). None when
/// it is longer than 65,535 bytes.
pub fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?;
    Some([&length.to_be_bytes(), message].concat())
}

/// Takes the messages out of a TCP stream. Holds at most one unfinished message (65,537 bytes) plus what one
/// [`TcpMessages::push`] brought, as long as [`TcpMessages::next`] is called until it returns None.
#[derive(Debug, Clone, Default)]
pub struct TcpMessages {
    buffer: Vec<u8>,
}

impl TcpMessages {
    /// Takes in bytes read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, without its length.
    #[expect(clippy::should_implement_trait, reason = "None means not yet, and more may follow after a push")]
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.buffer.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?.to_vec();
        self.buffer.drain(..2 + length);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::base::iana::Rcode;
    use proptest::prelude::*;

    const PLAIN: ReplyHead = ReplyHead { rcode: Rcode::NOERROR, recursion_available: true };
    const TTL: Ttl = Ttl::from_secs(600);

    fn addresses(count: u8) -> Vec<Answer> {
        (0..count).map(|last| Answer::Address(IpAddr::from([10, 0, 0, last]))).collect()
    }

    #[test]
    fn a_reply_copies_id_rd_and_question_and_is_not_compressed() {
        let query = Query::parse(&question(7, "WEB1", Rtype::A).unwrap()).unwrap();
        assert_eq!(query.name().as_deref(), Some("WEB1"));
        let bytes = query.reply(PLAIN, &addresses(1), TTL, 512, Oversize::Cut).unwrap();
        // Header 12, question 10, record 20: the size the oracle's dig reports.
        assert_eq!(bytes.len(), 42);
        assert_eq!(&bytes[..12], &[0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(&bytes[22..28], b"\x04WEB1\0");
    }

    #[test]
    fn an_answer_that_does_not_fit_is_cut_from_the_end_with_tc() {
        let query = Query::parse(&question(7, "web", Rtype::A).unwrap()).unwrap();
        let cut = query.reply(PLAIN, &addresses(60), TTL, 512, Oversize::Cut).unwrap();
        let message = Message::from_slice(&cut).unwrap();
        assert!(message.header().tc() && cut.len() <= 512);
        assert_eq!(message.header_counts().ancount(), (512 - 21) / 19);
        let packed = query.reply(PLAIN, &addresses(60), TTL, 512, Oversize::CompressThenCut).unwrap();
        let message = Message::from_slice(&packed).unwrap();
        assert_eq!(message.header_counts().ancount(), (512 - 21) / 16);
        assert!(message.header().tc());
        let fits = query.reply(PLAIN, &addresses(28), TTL, 512, Oversize::CompressThenCut).unwrap();
        assert!(!Message::from_slice(&fits).unwrap().header().tc());
    }

    #[test]
    fn edns_raises_the_limit_but_never_below_512() {
        for (size, expected) in [(None, 512), (Some(100), 512), (Some(1232), 1232)] {
            let mut builder = MessageBuilder::new_vec().question();
            builder.push((parse_name("a").unwrap(), Rtype::A)).unwrap();
            let mut builder = builder.additional();
            if let Some(size) = size {
                builder
                    .opt(|opt| {
                        opt.set_udp_payload_size(size);
                        Ok(())
                    })
                    .unwrap();
            }
            let query = Query::parse(&builder.finish()).unwrap();
            assert_eq!(query.reply_limit(Transport::Udp), expected);
            assert_eq!(query.reply_limit(Transport::Tcp), 65_535);
        }
    }

    #[test]
    fn what_is_no_query_is_named() {
        assert_eq!(Query::parse(&[1, 2, 3]).unwrap_err(), QueryError::Short { found: 3 });
        assert_eq!(Query::parse(&[0; 12]).unwrap_err(), QueryError::NoQuestion);
        let mut response = question(1, "a", Rtype::A).unwrap();
        response[2] |= 0x80;
        assert_eq!(Query::parse(&response).unwrap_err(), QueryError::Response);
    }

    #[test]
    fn reverse_names_give_addresses() {
        let v6 = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reverse_address("3.0.31.172.IN-addr.arpa"), Some("172.31.0.3".parse().unwrap()));
        assert_eq!(reverse_address(v6), Some("fd00::2".parse().unwrap()));
        let long = format!("0.{v6}");
        for name in [
            "in-addr.arpa",
            "3.0.31.in-addr.arpa",
            "1.3.0.31.172.in-addr.arpa",
            "x.0.31.172.in-addr.arpa",
            "+3.0.31.172.in-addr.arpa",
            "03.0.31.172.in-addr.arpa",
            "256.0.31.172.in-addr.arpa",
            ".0.31.172.in-addr.arpa",
            "2.0.ip6.arpa",
            long.as_str(),
            "a",
            "",
        ] {
            assert_eq!(reverse_address(name), None, "{name}");
        }
    }

    #[test]
    fn a_plain_name_is_what_its_text_says() {
        let (label, long) = ("a".repeat(63), format!("{0}.{0}.{0}.{1}", "b".repeat(63), "c".repeat(61)));
        for text in ["a", "Web-1.app.", "_srv._tcp.x", label.as_str(), long.as_str()] {
            assert_eq!(parse_name(text), text.parse().ok(), "{text}");
            assert!(plain_name(text).is_some(), "{text}");
        }
        let (label, long) = (format!("{label}a"), format!("{long}c"));
        for text in ["", ".", "a..b", ".a", "a b", "ü", label.as_str(), long.as_str()] {
            assert_eq!(parse_name(text), text.parse().ok(), "{text}");
            assert!(plain_name(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_label_with_a_dot_is_not_taken_for_two_labels() {
        let mut bytes = question(1, "aXb", Rtype::A).unwrap();
        bytes[14] = b'.';
        assert_eq!(Query::parse(&bytes).unwrap().name(), None);
    }

    #[test]
    fn a_stream_is_cut_into_messages_wherever_it_is_split() {
        let stream = [frame(b"one").unwrap(), frame(b"").unwrap(), frame(b"three").unwrap()].concat();
        for at in 0..stream.len() {
            let mut reader = TcpMessages::default();
            let mut seen = Vec::new();
            for part in [&stream[..at], &stream[at..]] {
                reader.push(part);
                while let Some(message) = reader.next() {
                    seen.push(message);
                }
            }
            assert_eq!(seen, [b"one".to_vec(), Vec::new(), b"three".to_vec()]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            if let Ok(query) = Query::parse(&bytes) {
                query.name();
                query.reply(PLAIN, &addresses(2), TTL, 512, Oversize::CompressThenCut);
            }
            relay(&bytes);
        }

        #[test]
        fn replies_round_trip_through_relay(name in "[a-zA-Z0-9-]{1,20}(\\.[a-z]{1,10}){0,3}", count in 0u8..20) {
            let query = Query::parse(&question(9, &name, Rtype::A).unwrap()).unwrap();
            let plain = query.reply(PLAIN, &addresses(count), TTL, 4096, Oversize::Cut).unwrap();
            let relayed = relay(&plain).unwrap();
            prop_assert!(relayed.bytes.len() <= plain.len());
            let expected: Vec<_> =
                (0..count).map(|last| (name.clone(), IpAddr::from([10, 0, 0, last]))).collect();
            prop_assert_eq!(&relayed.addresses, &expected);
            prop_assert_eq!(relay(&relayed.bytes).unwrap().addresses, expected);
        }
    }
}
