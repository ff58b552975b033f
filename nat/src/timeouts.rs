//! How long connection tracking remembers: the defaults of Linux's `nf_conntrack` sysctls
//! (Documentation/networking/nf_conntrack-sysctl.rst), each settable under the sysctl's name.
//!
//! `nf_conntrack_tcp_timeout_max_retrans` is missing: it needs the window tracking that is not done here.

use crate::tcp_state::TcpState;
use std::time::Duration;

/// The timeouts of every protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// `nf_conntrack_tcp_timeout_syn_sent`, 120 s; also of SYN_SENT2.
    pub tcp_syn_sent: Duration,
    /// `nf_conntrack_tcp_timeout_syn_recv`, 60 s.
    pub tcp_syn_recv: Duration,
    /// `nf_conntrack_tcp_timeout_established`, 432000 s, five days.
    pub tcp_established: Duration,
    /// `nf_conntrack_tcp_timeout_fin_wait`, 120 s.
    pub tcp_fin_wait: Duration,
    /// `nf_conntrack_tcp_timeout_close_wait`, 60 s.
    pub tcp_close_wait: Duration,
    /// `nf_conntrack_tcp_timeout_last_ack`, 30 s.
    pub tcp_last_ack: Duration,
    /// `nf_conntrack_tcp_timeout_time_wait`, 120 s.
    pub tcp_time_wait: Duration,
    /// `nf_conntrack_tcp_timeout_close`, 10 s.
    pub tcp_close: Duration,
    /// `nf_conntrack_tcp_timeout_unacknowledged`, 300 s: the limit of a connection picked up in its middle until
    /// an answer is seen.
    pub tcp_unacknowledged: Duration,
    /// `nf_conntrack_udp_timeout`, 30 s.
    pub udp: Duration,
    /// `nf_conntrack_udp_timeout_stream`, 120 s.
    pub udp_stream: Duration,
    /// `nf_conntrack_icmp_timeout`, 30 s.
    pub icmp: Duration,
    /// `nf_conntrack_icmpv6_timeout`, 30 s.
    pub icmpv6: Duration,
    /// `nf_conntrack_generic_timeout`, 600 s.
    pub generic: Duration,
}

impl Timeouts {
    /// Linux's.
    pub const LINUX: Timeouts = Timeouts {
        tcp_syn_sent: Duration::from_secs(120),
        tcp_syn_recv: Duration::from_secs(60),
        tcp_established: Duration::from_secs(432_000),
        tcp_fin_wait: Duration::from_secs(120),
        tcp_close_wait: Duration::from_secs(60),
        tcp_last_ack: Duration::from_secs(30),
        tcp_time_wait: Duration::from_secs(120),
        tcp_close: Duration::from_secs(10),
        tcp_unacknowledged: Duration::from_secs(300),
        udp: Duration::from_secs(30),
        udp_stream: Duration::from_secs(120),
        icmp: Duration::from_secs(30),
        icmpv6: Duration::from_secs(30),
        generic: Duration::from_secs(600),
    };

    /// The timeout of a TCP state.
    pub fn tcp(&self, state: TcpState) -> Duration {
        match state {
            TcpState::SynSent | TcpState::SynSent2 => self.tcp_syn_sent,
            TcpState::SynRecv => self.tcp_syn_recv,
            TcpState::Established => self.tcp_established,
            TcpState::FinWait => self.tcp_fin_wait,
            TcpState::CloseWait => self.tcp_close_wait,
            TcpState::LastAck => self.tcp_last_ack,
            TcpState::TimeWait => self.tcp_time_wait,
            TcpState::Close => self.tcp_close,
        }
    }
}
