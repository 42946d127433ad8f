//! Numbers of the kernel that have names: keys, operators, kinds. The names are those of libnftnl's `src/expr/*.c`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::observed::cursor::Cursor;
use crate::observed::printed;

/// A number with a name.
pub(super) trait Numbered: Copy + fmt::Display {
    /// The one that is printed so.
    fn of_word(word: &str) -> Option<Self>;
}

/// Reads the word of a number.
pub(super) fn number<N: Numbered>(line: &mut Cursor<'_>) -> Option<N> {
    N::of_word(line.word())
}

/// Defines numbers with their names; those without one are printed as `unknown-7`.
macro_rules! numbers {
    ($($(#[$doc:meta])+ $name:ident { $($variant:ident = $number:literal, $word:literal;)+ })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is named after the word that it is printed as")]
        pub enum $name {
            $($variant,)+
            /// One that this program does not know.
            Unknown(u32),
        }

        impl $name {
            /// The kernel's number.
            pub fn number(self) -> u32 {
                match self {
                    $($name::$variant => $number,)+
                    $name::Unknown(number) => number,
                }
            }
        }

        impl From<u32> for $name {
            fn from(number: u32) -> Self {
                match number {
                    $($number => $name::$variant,)+
                    other => $name::Unknown(other),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $($name::$variant => f.write_str($word),)+
                    $name::Unknown(number) => write!(f, "unknown-{number}"),
                }
            }
        }

        impl Numbered for $name {
            fn of_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($name::$variant),)+
                    other => other.strip_prefix("unknown-")?.parse().ok().map($name::Unknown),
                }
            }
        }
    )+};
}

numbers! {
    /// `enum nft_bitwise_ops` but for the mask, which is [`Bitwise::Mask`](super::Bitwise::Mask).
    BitwiseOperator {
        ShiftLeft = 1, "<<";
        ShiftRight = 2, ">>";
        And = 3, "&";
        Or = 4, "|";
        Xor = 5, "^";
    }
    /// `enum nft_byteorder_ops`.
    ByteorderOperation {
        ToHost = 0, "ntoh";
        ToNetwork = 1, "hton";
    }
    /// `enum nft_cmp_ops`.
    CmpOperator {
        Equal = 0, "eq";
        NotEqual = 1, "neq";
        Less = 2, "lt";
        LessOrEqual = 3, "lte";
        Greater = 4, "gt";
        GreaterOrEqual = 5, "gte";
    }
    /// `enum nft_range_ops`.
    RangeOperator {
        Inside = 0, "eq";
        Outside = 1, "neq";
    }
    /// `enum nft_ct_keys`.
    CtKey {
        State = 0, "state";
        Direction = 1, "direction";
        Status = 2, "status";
        Mark = 3, "mark";
        Secmark = 4, "secmark";
        Expiration = 5, "expiration";
        Helper = 6, "helper";
        L3protocol = 7, "l3protocol";
        Src = 8, "src";
        Dst = 9, "dst";
        Protocol = 10, "protocol";
        ProtoSrc = 11, "proto_src";
        ProtoDst = 12, "proto_dst";
        Label = 13, "label";
        Packets = 14, "packets";
        Bytes = 15, "bytes";
        Avgpkt = 16, "avgpkt";
        Zone = 17, "zone";
        Event = 18, "event";
        SrcIp = 19, "src_ip";
        DstIp = 20, "dst_ip";
        SrcIp6 = 21, "src_ip6";
        DstIp6 = 22, "dst_ip6";
        Id = 23, "id";
    }
    /// `enum ip_conntrack_dir`.
    CtDirection {
        Original = 0, "original";
        Reply = 1, "reply";
    }
    /// `enum nft_meta_keys`.
    MetaKey {
        Len = 0, "len";
        Protocol = 1, "protocol";
        Priority = 2, "priority";
        Mark = 3, "mark";
        Iif = 4, "iif";
        Oif = 5, "oif";
        Iifname = 6, "iifname";
        Oifname = 7, "oifname";
        Iiftype = 8, "iiftype";
        Oiftype = 9, "oiftype";
        Skuid = 10, "skuid";
        Skgid = 11, "skgid";
        Nftrace = 12, "nftrace";
        Rtclassid = 13, "rtclassid";
        Secmark = 14, "secmark";
        Nfproto = 15, "nfproto";
        L4proto = 16, "l4proto";
        BriIifname = 17, "bri_iifname";
        BriOifname = 18, "bri_oifname";
        Pkttype = 19, "pkttype";
        Cpu = 20, "cpu";
        Iifgroup = 21, "iifgroup";
        Oifgroup = 22, "oifgroup";
        Cgroup = 23, "cgroup";
        Prandom = 24, "prandom";
        Secpath = 25, "secpath";
        Iifkind = 26, "iifkind";
        Oifkind = 27, "oifkind";
        BriIifpvid = 28, "bri_iifpvid";
        BriIifvproto = 29, "bri_iifvproto";
        Time = 30, "time";
        Day = 31, "day";
        Hour = 32, "hour";
        Sdif = 33, "sdif";
        Sdifname = 34, "sdifname";
        Broute = 35, "broute";
    }
    /// `enum nft_rt_keys`.
    RtKey {
        Classid = 0, "classid";
        Nexthop4 = 1, "nexthop4";
        Nexthop6 = 2, "nexthop6";
        Tcpmss = 3, "tcpmss";
        Ipsec = 4, "ipsec";
    }
    /// `enum nft_socket_keys`.
    SocketKey {
        Transparent = 0, "transparent";
        Mark = 1, "mark";
        Wildcard = 2, "wildcard";
        Cgroupv2 = 3, "cgroupv2";
    }
    /// `enum nft_tunnel_keys`.
    TunnelKey {
        Path = 0, "path";
        Id = 1, "id";
    }
    /// `enum nft_xfrm_keys`.
    XfrmKey {
        Unspec = 0, "unspec";
        Daddr4 = 1, "daddr4";
        Daddr6 = 2, "daddr6";
        Saddr4 = 3, "saddr4";
        Saddr6 = 4, "saddr6";
        Reqid = 5, "reqid";
        Spi = 6, "spi";
    }
    /// `XFRM_POLICY_*`.
    XfrmDirection {
        In = 0, "in";
        Out = 1, "out";
    }
    /// `enum nft_fib_result`.
    FibResult {
        Unspec = 0, "unspec";
        Oif = 1, "oif";
        Oifname = 2, "oifname";
        Type = 3, "type";
    }
    /// `enum nft_payload_bases`.
    PayloadBase {
        Link = 0, "link";
        Network = 1, "network";
        Transport = 2, "transport";
        Inner = 3, "inner";
        Tunnel = 4, "tunnel";
    }
    /// `enum nft_exthdr_op`.
    ExthdrOperation {
        Ipv6 = 0, "ipv6";
        Tcpopt = 1, "tcpopt";
        Ipv4 = 2, "ipv4";
        Sctp = 3, "sctp";
        Dccp = 4, "dccp";
    }
    /// `enum nft_ng_types`.
    NumgenKind {
        Incremental = 0, "inc";
        Random = 1, "random";
    }
    /// `enum nft_limit_type`.
    LimitKind {
        Packets = 0, "packets";
        Bytes = 1, "bytes";
    }
    /// `enum nft_dynset_ops`.
    DynsetOperation {
        Add = 0, "add";
        Update = 1, "update";
        Delete = 2, "delete";
    }
    /// `enum nft_nat_types`.
    NatKind {
        Source = 0, "snat";
        Destination = 1, "dnat";
    }
    /// A protocol family, under the name that libnftnl gives it: `NFPROTO_*`.
    ProtocolFamily {
        Inet = 1, "inet";
        Ip = 2, "ip";
        Arp = 3, "arp";
        Netdev = 5, "netdev";
        Bridge = 7, "bridge";
        Ip6 = 10, "ip6";
    }
    /// `NFT_OBJECT_*`, under the names that the same things have as expressions.
    ObjectKind {
        Unspecified = 0, "unspec";
        Counter = 1, "counter";
        Quota = 2, "quota";
        CtHelper = 3, "cthelper";
        Limit = 4, "limit";
        Connlimit = 5, "connlimit";
        Tunnel = 6, "tunnel-key";
        CtTimeout = 7, "cttimeout";
        Secmark = 8, "secmark";
        CtExpect = 9, "ctexpect";
        Synproxy = 10, "synproxy";
    }
}

impl Serialize for ObjectKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        printed::deserialize_whole(from, "kind of object", number)
    }
}
