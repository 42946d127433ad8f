//! Settings of interfaces as sysctls name them.

/// The IPv4 settings of an interface that can be set over netlink, each at the place of its number less one
/// (`IPV4_DEVCONF_*` of the kernel's include/uapi/linux/ip.h, names of net/ipv4/devinet.c); numbers that no sysctl has
/// are left empty.
const NAMES: [&str; 33] = [
    "forwarding",
    "", // mc_forwarding is read-only
    "proxy_arp",
    "accept_redirects",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "rp_filter",
    "accept_source_route",
    "bootp_relay",
    "log_martians",
    "tag",
    "arp_filter",
    "medium_id",
    "disable_xfrm",
    "disable_policy",
    "force_igmp_version",
    "arp_announce",
    "arp_ignore",
    "promote_secondaries",
    "arp_accept",
    "arp_notify",
    "accept_local",
    "src_valid_mark",
    "proxy_arp_pvlan",
    "route_localnet",
    "igmpv2_unsolicited_report_interval",
    "igmpv3_unsolicited_report_interval",
    "ignore_routes_with_linkdown",
    "drop_unicast_in_l2_multicast",
    "drop_gratuitous_arp",
    "bc_forwarding",
    "arp_evict_nocarrier",
];

/// `IPV4_DEVCONF_RP_FILTER`.
pub const RP_FILTER: u16 = 8;

/// A sysctl of an interface: `net.ipv4.conf.docker0.route_localnet = 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// `docker0`.
    pub interface: String,
    /// `IPV4_DEVCONF_*`.
    pub number: u16,
    /// What it is set to.
    pub value: u32,
}

impl Sysctl {
    /// Reads a key and its value.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that names it.
    pub fn parse(key: &str, value: &str) -> Result<Sysctl, String> {
        let place = key.strip_prefix("net.ipv4.conf.");
        // Names of interfaces may hold dots.
        let (interface, name) = place.and_then(|place| place.rsplit_once('.')).ok_or(
            "is no setting of an interface: write net.ipv4.conf.INTERFACE.KEY; packets are forwarded in every lane",
        )?;
        if ["all", "default"].contains(&interface) {
            return Err("is for every interface: name one".to_owned());
        }
        let known = NAMES
            .iter()
            .position(|known| !known.is_empty() && *known == name);
        let place = known.ok_or_else(|| format!("ends with what is no setting: `{name}`"))?;
        let value = value.parse().ok();
        Ok(Sysctl {
            interface: interface.to_owned(),
            number: u16::try_from(place + 1).map_err(|_| "has no number")?,
            value: value.ok_or("is set to what is no number")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("net.ipv4.conf.docker0.route_localnet", "docker0", 26)]
    #[case("net.ipv4.conf.eth0.100.rp_filter", "eth0.100", RP_FILTER)]
    #[case("net.ipv4.conf.lo.arp_evict_nocarrier", "lo", 33)]
    fn a_key_names_an_interface_and_a_setting(
        #[case] key: &str,
        #[case] interface: &str,
        #[case] number: u16,
    ) {
        let sysctl = Sysctl {
            interface: interface.to_owned(),
            number,
            value: 1,
        };
        assert_eq!(Sysctl::parse(key, "1"), Ok(sysctl));
    }

    #[rstest]
    #[case::another_place("net.ipv4.ip_forward", "1", "no setting of an interface")]
    #[case::other_family("net.ipv6.conf.eth0.forwarding", "1", "no setting of an interface")]
    #[case::all("net.ipv4.conf.all.rp_filter", "1", "for every interface")]
    #[case::unknown("net.ipv4.conf.eth0.colour", "1", "no setting: `colour`")]
    #[case::no_number("net.ipv4.conf.eth0.tag", "on", "no number")]
    fn what_is_wrong_with_a_key_is_said(
        #[case] key: &str,
        #[case] value: &str,
        #[case] says: &str,
    ) {
        let wrong = Sysctl::parse(key, value);
        assert!(
            wrong.as_ref().is_err_and(|wrong| wrong.contains(says)),
            "{wrong:?}"
        );
    }
}
