//! The data of one packet filter rule: what a packet must match and what then happens to it.
//!
//! The set of matches and targets is closed: it is the part of the Linux x_tables extensions that a container
//! host's rules use. Everything here is plain data that compares by value, so that `-D` with a specification and
//! `-C` are equality; the text form is in `text` and `text_emit`, the run of a packet through rules in `evaluate`.

use std::net::IpAddr;
use std::sync::Arc;

use crate::cidr::Cidr;
use crate::conntrack_match::ConntrackMatch;
use crate::interface::InterfaceName;

/// The address family of a rule set: what `iptables` or `ip6tables` works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4, the program `iptables`.
    Ipv4,
    /// IPv6, the program `ip6tables`.
    Ipv6,
}

/// A rule as it is written: a packet that satisfies every part meets the target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// `-s`.
    pub source: Option<Negatable<Cidr>>,
    /// `-d`.
    pub destination: Option<Negatable<Cidr>>,
    /// `-i`.
    pub in_interface: Option<Negatable<InterfacePattern>>,
    /// `-o`.
    pub out_interface: Option<Negatable<InterfacePattern>>,
    /// `-p`, an IP protocol number other than 0.
    pub protocol: Option<Negatable<u8>>,
    /// `-f` is `Some(true)`: second and further fragments only; `! -f` is `Some(false)`. IPv4 only.
    pub fragment: Option<bool>,
    /// The matches of `-m` in the order given; all must hold.
    pub matches: Vec<Match>,
    /// What happens to a packet that matched.
    pub target: Target,
}

/// A condition that `!` can turn round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negatable<T> {
    /// Whether the condition must not hold.
    pub negated: bool,
    /// The condition.
    pub value: T,
}

impl<T> Negatable<T> {
    /// The condition as it stands.
    pub fn plain(value: T) -> Negatable<T> {
        Negatable { negated: false, value }
    }

    /// The condition turned round.
    pub fn not(value: T) -> Negatable<T> {
        Negatable { negated: true, value }
    }
}

/// An interface name or, written `name+`, every interface whose name begins so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfacePattern {
    /// Exactly this interface.
    Exact(InterfaceName),
    /// Every interface whose name begins with this.
    Prefix(InterfaceName),
}

impl InterfacePattern {
    /// Whether `name` is one of the interfaces meant.
    pub fn matches(&self, name: &InterfaceName) -> bool {
        match self {
            InterfacePattern::Exact(exact) => exact == name,
            InterfacePattern::Prefix(prefix) => name.as_str().starts_with(prefix.as_str()),
        }
    }
}

/// An inclusive range of 16-bit numbers: ports or packet lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range16 {
    /// The lowest number.
    pub first: u16,
    /// The highest number.
    pub last: u16,
}

impl Range16 {
    /// A range of one number.
    pub fn single(value: u16) -> Range16 {
        Range16 { first: value, last: value }
    }

    /// Whether `value` is in the range.
    pub fn contains(&self, value: u16) -> bool {
        self.first <= value && value <= self.last
    }
}

/// One `-m` match. What is large and rare is boxed, because nearly every rule has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// `-m tcp`; needs `-p tcp`.
    Tcp(TcpMatch),
    /// `-m udp`; needs `-p udp`.
    Udp(PortMatch),
    /// `-m sctp`; needs `-p sctp`.
    Sctp(PortMatch),
    /// `-m icmp` or `-m icmp6`; needs the protocol of the family.
    Icmp(Negatable<IcmpType>),
    /// `-m conntrack`.
    Conntrack(Box<ConntrackMatch>),
    /// `-m state --state`: the older spelling, without SNAT and DNAT.
    State(Negatable<StateSet>),
    /// `-m addrtype`.
    AddressType {
        /// `--src-type`.
        source: Option<Negatable<AddressTypeSet>>,
        /// `--dst-type`.
        destination: Option<Negatable<AddressTypeSet>>,
    },
    /// `-m mark --mark`: holds if the packet's mark and the mask give the value.
    Mark(Negatable<MaskedMark>),
    /// `-m comment`: always holds. At most 255 bytes.
    Comment(String),
    /// `-m multiport`.
    Multiport(Box<MultiportMatch>),
    /// `-m iprange`.
    IpRange(Box<IpRangeMatch>),
    /// `-m limit`: a token bucket in virtual time.
    Limit(Limit),
    /// `-m physdev`.
    Physdev(Box<PhysdevMatch>),
    /// `-m mac --mac-source`.
    Mac(Negatable<[u8; 6]>),
    /// `-m length`: the length of the IP packet.
    Length(Negatable<Range16>),
    /// `-m ttl`, or `-m hl` for IPv6.
    Ttl(TtlMatch),
}

const _: () = assert!(size_of::<Match>() <= 24);

impl Match {
    /// `-m conntrack --ctstate`.
    pub fn states(states: StateSet) -> Match {
        Match::Conntrack(Box::new(ConntrackMatch::states(Negatable::plain(states))))
    }
}

/// Ports of UDP or SCTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortMatch {
    /// `--sport`.
    pub source: Option<Negatable<Range16>>,
    /// `--dport`.
    pub destination: Option<Negatable<Range16>>,
}

/// Ports and flags of TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpMatch {
    /// The ports.
    pub ports: PortMatch,
    /// `--tcp-flags`; `--syn` is FIN,SYN,RST,ACK compared with SYN.
    pub flags: Option<Negatable<TcpFlags>>,
}

/// `--tcp-flags mask compared`: bits as in the TCP header, FIN 1 to URG 0x20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags {
    /// The flags that are looked at.
    pub mask: u8,
    /// Those of them that must be set; the others must be clear.
    pub compared: u8,
}

impl TcpFlags {
    /// `--syn`.
    pub const SYN: TcpFlags = TcpFlags { mask: 0x17, compared: 0x02 };
}

/// `--icmp-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpType {
    /// Every type.
    Any,
    /// This type with any code.
    Type(u8),
    /// This type and code.
    Code(u8, u8),
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CtState {
    /// Belongs to no flow that can be tracked.
    Invalid,
    /// Opens a flow, or the flow has been seen in one direction only.
    New,
    /// Opens a flow that belongs to another, or is an error about one.
    Related,
    /// Belongs to a flow seen in both directions.
    Established,
    /// Was exempted from tracking.
    Untracked,
}

/// A set of connection states; the bits stand in the order in which iptables prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSet(u8);

impl StateSet {
    /// The names and bits, in print order (`libxt_conntrack.c`).
    pub(crate) const NAMES: [(&'static str, StateSet); 7] = [
        ("INVALID", StateSet(1)),
        ("NEW", StateSet(2)),
        ("RELATED", StateSet(4)),
        ("ESTABLISHED", StateSet(8)),
        ("UNTRACKED", StateSet(16)),
        ("SNAT", StateSet::SNAT),
        ("DNAT", StateSet::DNAT),
    ];
    /// The flow's source is translated.
    pub const SNAT: StateSet = StateSet(32);
    /// The flow's destination is translated.
    pub const DNAT: StateSet = StateSet(64);

    /// The set of one state.
    pub fn of(state: CtState) -> StateSet {
        match state {
            CtState::Invalid => StateSet(1),
            CtState::New => StateSet(2),
            CtState::Related => StateSet(4),
            CtState::Established => StateSet(8),
            CtState::Untracked => StateSet(16),
        }
    }

    /// Both sets together.
    pub fn union(self, other: StateSet) -> StateSet {
        StateSet(self.0 | other.0)
    }

    /// Whether the sets share a member.
    pub fn intersects(self, other: StateSet) -> bool {
        self.0 & other.0 != 0
    }
}

/// The kind of an address by the routing table, numbered as RTN_* of `linux/rtnetlink.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum AddressType {
    /// No route type: the unspecified address.
    Unspec = 0,
    /// Reached through a gateway or directly.
    Unicast = 1,
    /// An address of this host.
    Local = 2,
    /// A broadcast address.
    Broadcast = 3,
    /// An anycast address.
    Anycast = 4,
    /// A multicast group.
    Multicast = 5,
    /// Silently discarded.
    Blackhole = 6,
    /// Answered with an ICMP unreachable.
    Unreachable = 7,
    /// Answered with an ICMP prohibited.
    Prohibit = 8,
}

/// A set of address types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AddressTypeSet(u16);

impl AddressTypeSet {
    pub(crate) const NAMES: [(&'static str, AddressType); 9] = [
        ("UNSPEC", AddressType::Unspec),
        ("UNICAST", AddressType::Unicast),
        ("LOCAL", AddressType::Local),
        ("BROADCAST", AddressType::Broadcast),
        ("ANYCAST", AddressType::Anycast),
        ("MULTICAST", AddressType::Multicast),
        ("BLACKHOLE", AddressType::Blackhole),
        ("UNREACHABLE", AddressType::Unreachable),
        ("PROHIBIT", AddressType::Prohibit),
    ];

    /// The set with `member` added.
    pub fn with(self, member: AddressType) -> AddressTypeSet {
        AddressTypeSet(self.0 | 1 << member as u8)
    }

    /// Whether `member` is in the set.
    pub fn contains(self, member: AddressType) -> bool {
        self.0 & (1 << member as u8) != 0
    }
}

/// A mark and the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedMark {
    /// The value.
    pub value: u32,
    /// The bits.
    pub mask: u32,
}

/// Ports of `-m multiport`; at most 15, where a range counts as two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiportMatch {
    /// Which ports of the packet are looked at.
    pub side: PortSide,
    /// The ports, any of which suffices.
    pub ports: Negatable<Vec<Range16>>,
}

/// Which ports `-m multiport` looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSide {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`: either.
    Either,
}

/// Addresses of `-m iprange`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpRangeMatch {
    /// `--src-range`.
    pub source: Option<Negatable<AddressRange>>,
    /// `--dst-range`.
    pub destination: Option<Negatable<AddressRange>>,
}

/// An inclusive range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    /// The lowest address.
    pub first: IpAddr,
    /// The highest address.
    pub last: IpAddr,
}

impl AddressRange {
    /// Whether `address` is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }
}

/// `-m limit`: matches on average `count` times a `unit`, at most `burst` times at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Matches in a unit; 1 to 10000 a second as xt_limit has it.
    pub count: u32,
    /// The unit.
    pub unit: LimitUnit,
    /// How many matches can come at once; 1 to 10000.
    pub burst: u32,
}

/// The time unit of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// 1 s.
    Second,
    /// 60 s.
    Minute,
    /// 3600 s.
    Hour,
    /// 86400 s.
    Day,
}

impl LimitUnit {
    /// The unit's length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            LimitUnit::Second => 1,
            LimitUnit::Minute => 60,
            LimitUnit::Hour => 3600,
            LimitUnit::Day => 86400,
        }
    }
}

/// `-m physdev`: the ports of a bridge that the packet came in and goes out by. `Some(true)` asks for the
/// property, `Some(false)` for its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhysdevMatch {
    /// `--physdev-in`.
    pub input: Option<Negatable<InterfacePattern>>,
    /// `--physdev-is-in`.
    pub is_in: Option<bool>,
    /// `--physdev-out`.
    pub output: Option<Negatable<InterfacePattern>>,
    /// `--physdev-is-out`.
    pub is_out: Option<bool>,
    /// `--physdev-is-bridged`.
    pub is_bridged: Option<bool>,
}

/// `-m ttl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtlMatch {
    /// `--ttl-eq`.
    Equal(u8),
    /// `! --ttl-eq`.
    NotEqual(u8),
    /// `--ttl-lt`.
    Less(u8),
    /// `--ttl-gt`.
    Greater(u8),
}

/// What happens to a packet that matched a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// No `-j`: the packet is counted and goes on to the next rule.
    #[default]
    Continue,
    /// Passes this table.
    Accept,
    /// Is discarded.
    Drop,
    /// Goes back to the chain that jumped here, or to the policy.
    Return,
    /// `-j chain`.
    Jump(Arc<str>),
    /// `-g chain`: as a jump, but a return goes to the caller of this chain.
    Goto(Arc<str>),
    /// `DNAT --to-destination`.
    Dnat(NatRange),
    /// `SNAT --to-source`.
    Snat(NatRange),
    /// `MASQUERADE`; only ports and randomness are meaningful in the range.
    Masquerade(NatRange),
    /// `REDIRECT`; only ports and randomness are meaningful in the range.
    Redirect(NatRange),
    /// `REJECT --reject-with`.
    Reject(RejectWith),
    /// `LOG`.
    Log(Log),
    /// `MARK`: the packet's mark becomes `(mark & !mask) ^ value`.
    Mark(MaskedMark),
    /// `CONNMARK`.
    ConnMark(ConnMark),
    /// `CT --notrack`, or the older spelling `NOTRACK`.
    NoTrack {
        /// Whether it was spelled `NOTRACK`.
        legacy: bool,
    },
    /// `CHECKSUM --checksum-fill`.
    ChecksumFill,
    /// `TCPMSS`.
    TcpMss(TcpMss),
}

/// The addresses and ports that a translation may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NatRange {
    /// The addresses; `None` leaves the address.
    pub addresses: Option<AddressRange>,
    /// The ports; `None` leaves the port where that is possible.
    pub ports: Option<Range16>,
    /// How a port is chosen.
    pub random: RandomPorts,
    /// `--persistent`: the same client gets the same address.
    pub persistent: bool,
}

/// How a translation chooses a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RandomPorts {
    /// The original port if it is free, else the next free one.
    #[default]
    No,
    /// `--random`.
    Random,
    /// `--random-fully`.
    Fully,
}

/// The answer of `REJECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectWith {
    /// ICMP destination unreachable with this code (RFC 792, RFC 1122, RFC 1812): 0, 1, 2, 3, 9, 10 or 13.
    IcmpUnreachable(u8),
    /// ICMPv6 destination unreachable with this code (RFC 4443): 0, 1, 3, 4, 5 or 6.
    Icmp6Unreachable(u8),
    /// A TCP segment with RST.
    TcpReset,
}

/// `LOG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `--log-prefix`, at most 29 bytes.
    pub prefix: String,
    /// `--log-level`, 0 to 7 as syslog has them.
    pub level: u8,
    /// XT_LOG_* bits: 1 TCP sequence, 2 TCP options, 4 IP options, 8 user, 32 MAC.
    pub flags: u8,
}

/// `CONNMARK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnMark {
    /// `--set-xmark value/mask` on the connection's mark.
    Set(MaskedMark),
    /// `--save-mark`: connection mark = (connection mark & !ctmask) ^ (packet mark & nfmask).
    Save {
        /// Bits of the packet's mark.
        nfmask: u32,
        /// Bits of the connection's mark.
        ctmask: u32,
    },
    /// `--restore-mark`: packet mark = (packet mark & !nfmask) ^ (connection mark & ctmask).
    Restore {
        /// Bits of the packet's mark.
        nfmask: u32,
        /// Bits of the connection's mark.
        ctmask: u32,
    },
}

/// `TCPMSS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpMss {
    /// `--clamp-mss-to-pmtu`.
    ClampToPmtu,
    /// `--set-mss`.
    Set(u16),
}
