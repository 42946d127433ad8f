//! Probes as bytes: what is sent, and how it is known again where it arrives.
//!
//! An echo request and a datagram carry a token. A connection begins with a packet that carries nothing: it is known
//! by the maximum segment size that its sender offers, which no rewriting of addresses and ports touches.

use std::net::{IpAddr, Ipv4Addr};

use crate::catalog::Family;

/// What every token begins with.
const MAGIC: &[u8; 12] = b"iptables-lab";

/// The least maximum segment size that is offered: that of the connection 0.
const FIRST_SEGMENT_SIZE: u16 = 600;

/// How many numbers there are. An offer above what the interface takes would be cut down to that: 1220 bytes, where
/// it takes no more than IPv6 must.
pub const NUMBERS: u16 = 600;

/// How a packet is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The round it belongs to.
    pub round: u64,
    /// Its number in the round.
    pub number: u16,
}

impl Token {
    /// What a datagram or an echo request carries.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.round.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Token> {
        let bytes = bytes.strip_prefix(MAGIC)?;
        let (round, bytes) = bytes.split_first_chunk()?;
        let (number, _) = bytes.split_first_chunk()?;
        Some(Token {
            round: u64::from_be_bytes(*round),
            number: u16::from_be_bytes(*number),
        })
    }
}

/// The maximum segment size that the connection of this number offers.
pub fn segment_size(number: u16) -> u16 {
    FIRST_SEGMENT_SIZE + number
}

/// The types of echo request and echo reply.
fn echo_types(family: Family) -> (u8, u8) {
    match family {
        Family::Ipv4 => (8, 0),
        Family::Ipv6 => (128, 129),
    }
}

/// An echo request whose identifier is the token's number. The kernel fills in ICMPv6's checksum.
pub fn echo_request(family: Family, token: Token) -> Vec<u8> {
    let mut bytes = vec![echo_types(family).0, 0, 0, 0];
    bytes.extend(token.number.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(token.to_bytes());
    if family == Family::Ipv4 {
        let sum = checksum(&bytes).to_be_bytes();
        bytes[2..4].copy_from_slice(&sum);
    }
    bytes
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether this begins with an echo request of that number: how an error quotes it.
pub fn is_echo_request(family: Family, quoted: &[u8], number: u16) -> bool {
    let [kind, _, _, _, high, low, ..] = quoted else {
        return false;
    };
    *kind == echo_types(family).0 && u16::from_be_bytes([*high, *low]) == number
}

/// What an ICMP message says of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It is one.
    Request(Token),
    /// It answers one.
    Reply(Token),
}

/// An echo request or reply that carries a token.
pub fn echo(family: Family, message: &[u8]) -> Option<Echo> {
    let (request, reply) = echo_types(family);
    let kind = *message.first()?;
    let token = Token::read(message.get(8..)?)?;
    if kind == request {
        Some(Echo::Request(token))
    } else {
        (kind == reply).then_some(Echo::Reply(token))
    }
}

/// The destination port of a datagram, and the token that it carries.
pub fn datagram(message: &[u8]) -> Option<(u16, Token)> {
    let token = Token::read(message.get(8..)?)?;
    Some((destination_port(message)?, token))
}

/// The destination port of a segment that opens a connection, and the number that its offer says.
pub fn opening(segment: &[u8]) -> Option<(u16, u16)> {
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;
    let flags = *segment.get(13)?;
    let length = usize::from(*segment.get(12)? >> 4) * 4;
    let size = offered_size(segment.get(20..length)?)?;
    let number = size.checked_sub(FIRST_SEGMENT_SIZE)?;
    let is_probe = flags & (SYN | ACK) == SYN && number < NUMBERS;
    Some((destination_port(segment)?, number)).filter(|_| is_probe)
}

/// The maximum segment size among TCP options.
fn offered_size(mut options: &[u8]) -> Option<u16> {
    loop {
        options = match options {
            [1, rest @ ..] => rest,
            [2, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
            [kind, length, ..] if *kind != 0 && *length >= 2 => {
                options.get(usize::from(*length)..)?
            }
            _ => return None,
        };
    }
}

fn destination_port(message: &[u8]) -> Option<u16> {
    let port = message.get(2..4)?;
    port.try_into().ok().map(u16::from_be_bytes)
}

/// The addresses in an IPv4 header, and what follows it: a raw socket gives the header too.
pub fn split_ipv4(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let address = |place: usize| -> Option<IpAddr> {
        let bytes: [u8; 4] = packet.get(place..place + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes).into())
    };
    let length = usize::from(*packet.first()? & 0x0f) * 4;
    Some((address(12)?, address(16)?, packet.get(length..)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TOKEN: Token = Token {
        round: 7,
        number: 258,
    };

    #[rstest]
    #[case(Family::Ipv4, 0)]
    #[case(Family::Ipv6, 129)]
    fn an_echo_request_and_its_reply_are_known_again(#[case] family: Family, #[case] reply: u8) {
        let mut message = echo_request(family, TOKEN);
        assert_eq!(echo(family, &message), Some(Echo::Request(TOKEN)));
        assert!(is_echo_request(family, &message[..8], 258));
        assert!(!is_echo_request(family, &message[..8], 259));
        message[0] = reply;
        assert_eq!(echo(family, &message), Some(Echo::Reply(TOKEN)));
        message[0] = 3;
        assert_eq!(echo(family, &message), None);
    }

    #[test]
    fn the_checksum_of_an_echo_request_holds() {
        assert_eq!(checksum(&echo_request(Family::Ipv4, TOKEN)), 0);
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }

    #[test]
    fn a_datagram_is_known_by_what_it_carries() {
        let mut message = vec![0x30, 0x39, 0x00, 0x35, 0, 30, 0, 0];
        message.extend(TOKEN.to_bytes());
        assert_eq!(datagram(&message), Some((53, TOKEN)));
        assert_eq!(datagram(&message[..message.len() - 1]), None);
        message[9] ^= 1;
        assert_eq!(datagram(&message), None);
    }

    fn segment(flags: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 20];
        bytes[2..4].copy_from_slice(&80u16.to_be_bytes());
        bytes[12] = u8::try_from((20 + options.len()) / 4 * 16).expect("short");
        bytes[13] = flags;
        bytes.extend(options);
        bytes
    }

    #[rstest]
    #[case::alone(0x02, &[2, 4, 2, 90], Some((80, 2)))]
    #[case::after_others(0x02, &[1, 3, 3, 7, 1, 1, 4, 2, 2, 4, 2, 88], Some((80, 0)))]
    #[case::with_ecn(0xc2, &[2, 4, 2, 90], Some((80, 2)))]
    #[case::the_answer(0x12, &[2, 4, 2, 90], None)]
    #[case::data(0x10, &[2, 4, 2, 90], None)]
    #[case::not_offered(0x02, &[1, 1, 1, 0], None)]
    #[case::someone_elses(0x02, &[2, 4, 5, 180], None)]
    #[case::cut_short(0x02, &[1, 2, 4, 2], None)]
    fn a_connection_is_known_by_its_offer(
        #[case] flags: u8,
        #[case] options: &[u8],
        #[case] known: Option<(u16, u16)>,
    ) {
        assert_eq!(opening(&segment(flags, options)), known);
    }

    #[test]
    fn an_ipv4_header_is_split_off_with_its_options() {
        let mut packet = vec![
            0x46, 0, 0, 25, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        packet.extend([1, 1, 1, 1, 9]);
        let address = |text: &str| -> IpAddr { text.parse().expect("an address") };
        let split = Some((address("10.0.0.1"), address("10.0.0.2"), &[9][..]));
        assert_eq!(split_ipv4(&packet), split);
        assert_eq!(split_ipv4(&packet[..18]), None);
    }
}
