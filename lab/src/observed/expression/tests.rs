use rstest::rstest;

use super::*;

/// What is printed is read, and printed the same.
#[rstest]
#[case("bitwise reg 1 = ( reg 1 & 0xff1f ) ^ 0x0000")]
#[case("bitwise reg 1 = ( reg 2 & 0x000000ff 0x00 ) ^ 0x00000000 0x00 len 4")]
#[case("bitwise reg 1 = ( reg 1 << 0x00000008 ) len 4")]
#[case("bitwise reg 1 = ( reg 1 & reg 2 ) len 4")]
#[case("bitwise reg 1 = ( reg 1 unknown-6 0x00000001 ) len 4")]
#[case("byteorder reg 1 = hton(reg 1, 2, 4)")]
#[case("cmp eq reg 1 0x30687465 0x00")]
#[case("cmp unknown-9 reg 1 0x06")]
#[case("connlimit count 5 flags 1")]
#[case("counter")]
#[case("ct load state => reg 1")]
#[case("ct load src_ip => reg 1 , dir original")]
#[case("ct set mark with reg 1")]
#[case("dup sreg_addr 1 sreg_dev 2")]
#[case(
    "dynset update reg_key 1 set dyn timeout 30000ms expr [ limit rate 1/second burst 5 type packets flags 0x0 ]"
)]
#[case(
    "dynset add reg_key 1 set dyn sreg_data 2 flags 0x2 exprs [ counter ] [ quota bytes 5 flags 0 ]"
)]
#[case("dynset delete reg_key 1 set dyn exprs [  ]")]
#[case("exthdr load ipv6 1b @ 44 + 0 present => reg 1")]
#[case("exthdr write tcpopt reg 1 => 2b @ 2 + 2")]
#[case("exthdr reset tcpopt 4")]
#[case("exthdr reset tcpopt 4 present offset 2 flags 0x6")]
#[case("fib saddr . iif oif present => reg 1")]
#[case("fib oif type => reg 1")]
#[case("fib  type => reg 1")]
#[case("fib daddr . unknown 0x40 oifname => reg 1")]
#[case("flow_offload flowtable ft")]
#[case("fwd sreg_dev 1 sreg_addr 2 nfproto 2")]
#[case("hash reg 1 = jhash(reg 2, 8, 0xabcd) % mod 16 offset 3")]
#[case("hash reg 1 = jhash(reg 2, 8, random) % mod 16")]
#[case("hash reg 1 = symhash() % mod 2 offset 1")]
#[case("immediate reg 0 jump -> KUBE-FIREWALL")]
#[case("immediate reg 0 verdict 0xffffff9c")]
#[case("immediate reg 1 0x5000")]
#[case("inner num 1 type 1 hdrsize 8 flags f [ payload load 2b @ transport header + 2 => reg 1 ]")]
#[case("last")]
#[case("limit rate 3/minute burst 5 type packets flags 0x0")]
#[case("limit rate 3/2 week burst 5 type bytes flags 0x1")]
#[case("limit rate 3/90 second burst 5 type packets flags 0x0")]
#[case("limit rate 3/0 second burst 5 type packets flags 0x0")]
#[case("log")]
#[case("log prefix \"x \\\"y\\\" \\x00\" group 3 snaplen 0 qthreshold 7")]
#[case("log level 4 tcpseq ipopt flags 0x40")]
#[case("log level 4 flags 0x0")]
#[case("lookup reg 1 set __set0 0x1")]
#[case("lookup reg 1 set m1 dreg 0")]
#[case("masq proto_min reg 1 flags 0x6")]
#[case("match name comment rev 0 info 0x64726f70")]
#[case("meta load iifname => reg 1")]
#[case("meta set unknown-99 with reg 1")]
#[case("nat snat ip addr_min reg 1 addr_max reg 2 proto_min reg 3 proto_max reg 9 flags 0x14")]
#[case("nat unknown-7 unknown-99")]
#[case("notrack")]
#[case("numgen reg 1 = inc mod 2 offset 100")]
#[case("objref sreg 1 set m1")]
#[case("objref type 1 name c1")]
#[case("osf dreg 1 ttl 1 flags 0x1")]
#[case("payload load 4b @ network header + 12 => reg 1")]
#[case("payload write reg 1 => 2b @ transport header + 6 csum_type 1 csum_off 6 csum_flags 0x1")]
#[case("queue num 1-4 sreg_qnum 1 bypass fanout")]
#[case("queue num 7")]
#[case("quota bytes 26214400 flags 1")]
#[case("range neq reg 1 0xe803 0xd007")]
#[case("range eq reg 1 0x00000001 0x02 0x00000003 0x04")]
#[case("redir proto_min reg 1 proto_max reg 2")]
#[case("reject type 2 code 3")]
#[case("rt load tcpmss => reg 1")]
#[case("socket load cgroupv2 => reg 1 level 2")]
#[case("synproxy mss 1460 wscale 7 flags 0xf")]
#[case("target name LOG rev 0 info 0x03")]
#[case("tproxy ip addr reg 1 port reg 2")]
#[case("tproxy port reg 1")]
#[case("tunnel load id => reg 1 mode 1")]
#[case("xfrm load in 0 reqid => reg 1")]
#[case("meta load mark => reg 1 attribute 77 0x3f attribute 78 0x")]
#[case("masq attribute 77 0x3f")]
#[case("new raw 0x0102")]
#[case("\"new one\" raw 0x")]
#[case("counter raw 0x01")]
fn what_is_printed_is_read(#[case] printed: &str) {
    let read = Expression::read(printed);
    assert!(!matches!(read, Expression::Printed(_)), "{read:?}");
    assert_eq!(read.to_string(), printed);
    let name = printed.split(' ').next();
    assert!(read.name() == name.unwrap_or_default() || printed.starts_with('"'));
}

#[rstest]
#[case("")]
#[case("meta load mark => reg 01")]
#[case("meta load mark => reg 1 ")]
#[case("meta load marks => reg 1")]
#[case("cmp eq reg 1 0x6")]
#[case("counter packets 5")]
#[case("hash reg 1 = crc32(reg 2) % mod 16")]
fn what_cannot_be_read_is_kept(#[case] printed: &str) {
    let read = Expression::read(printed);
    assert_eq!(read, Expression::Printed(printed.into()));
    assert_eq!(read.to_string(), printed);
}

/// Each is in memory once for every rule that differs.
#[test]
fn an_expression_is_small() {
    assert!(size_of::<Expression>() <= 72, "{}", size_of::<Expression>());
}
