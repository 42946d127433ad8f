//! What the lab knows of iptables' matches and targets: whose option a word is, which loss of one widens a rule.
//!
//! An extension that is not listed is treated by position alone. The names are those of extensions/libxt_*.c,
//! libipt_*.c and libip6t_*.c of iptables 1.8.13.

/// Extensions and all of their options.
const OPTIONS: &[(&str, &[&str])] = &[
    ("comment", &["--comment"]),
    ("mark", &["--mark"]),
    ("connmark", &["--mark"]),
    (
        "conntrack",
        &[
            "--ctstate",
            "--ctproto",
            "--ctorigsrc",
            "--ctorigdst",
            "--ctreplsrc",
            "--ctrepldst",
            "--ctorigsrcport",
            "--ctorigdstport",
            "--ctreplsrcport",
            "--ctrepldstport",
            "--ctstatus",
            "--ctexpire",
            "--ctdir",
        ],
    ),
    ("state", &["--state"]),
    (
        "tcp",
        &[
            "--sport",
            "--source-port",
            "--dport",
            "--destination-port",
            "--tcp-flags",
            "--syn",
            "--tcp-option",
        ],
    ),
    (
        "udp",
        &["--sport", "--source-port", "--dport", "--destination-port"],
    ),
    (
        "udplite",
        &["--sport", "--source-port", "--dport", "--destination-port"],
    ),
    (
        "sctp",
        &[
            "--sport",
            "--source-port",
            "--dport",
            "--destination-port",
            "--chunk-types",
        ],
    ),
    (
        "dccp",
        &[
            "--sport",
            "--source-port",
            "--dport",
            "--destination-port",
            "--dccp-types",
            "--dccp-option",
        ],
    ),
    ("icmp", &["--icmp-type"]),
    ("icmp6", &["--icmpv6-type"]),
    ("esp", &["--espspi"]),
    ("ah", &["--ahspi", "--ahlen", "--ahres"]),
    ("mh", &["--mh-type"]),
    (
        "multiport",
        &[
            "--sports",
            "--source-ports",
            "--dports",
            "--destination-ports",
            "--ports",
        ],
    ),
    (
        "addrtype",
        &[
            "--src-type",
            "--dst-type",
            "--limit-iface-in",
            "--limit-iface-out",
        ],
    ),
    ("iprange", &["--src-range", "--dst-range"]),
    ("mac", &["--mac-source"]),
    (
        "owner",
        &[
            "--uid-owner",
            "--gid-owner",
            "--socket-exists",
            "--suppl-groups",
        ],
    ),
    (
        "physdev",
        &[
            "--physdev-in",
            "--physdev-out",
            "--physdev-is-in",
            "--physdev-is-out",
            "--physdev-is-bridged",
        ],
    ),
    (
        "set",
        &[
            "--match-set",
            "--return-nomatch",
            "--update-counters",
            "--update-subcounters",
            "--packets-eq",
            "--packets-lt",
            "--packets-gt",
            "--bytes-eq",
            "--bytes-lt",
            "--bytes-gt",
        ],
    ),
    ("limit", &["--limit", "--limit-burst"]),
    (
        "statistic",
        &["--mode", "--probability", "--every", "--packet"],
    ),
    ("length", &["--length"]),
    ("ttl", &["--ttl-eq", "--ttl-lt", "--ttl-gt"]),
    ("ACCEPT", &[]),
    ("DROP", &[]),
    ("RETURN", &[]),
    (
        "MARK",
        &[
            "--set-xmark",
            "--set-mark",
            "--and-mark",
            "--or-mark",
            "--xor-mark",
        ],
    ),
    (
        "CONNMARK",
        &[
            "--set-xmark",
            "--set-mark",
            "--and-mark",
            "--or-mark",
            "--xor-mark",
            "--save-mark",
            "--restore-mark",
            "--ctmask",
            "--nfmask",
            "--mask",
            "--left-shift-mark",
            "--right-shift-mark",
        ],
    ),
    ("DNAT", &["--to-destination", "--random", "--persistent"]),
    (
        "SNAT",
        &["--to-source", "--random", "--random-fully", "--persistent"],
    ),
    ("MASQUERADE", &["--to-ports", "--random", "--random-fully"]),
    ("REDIRECT", &["--to-ports", "--random"]),
    ("REJECT", &["--reject-with"]),
    (
        "NFLOG",
        &[
            "--nflog-group",
            "--nflog-prefix",
            "--nflog-range",
            "--nflog-size",
            "--nflog-threshold",
        ],
    ),
];

/// Options that ask for more of a packet: without one, its match takes in more packets, never fewer.
const CONDITIONS: &[&str] = &[
    "tcp",
    "udp",
    "udplite",
    "sctp",
    "dccp",
    "icmp",
    "icmp6",
    "esp",
    "ah",
    "mh",
    "mark",
    "connmark",
    "conntrack",
    "state",
    "iprange",
    "mac",
    "physdev",
    "multiport",
    "length",
    "ttl",
];

/// The targets that are extensions; every other name after `-j` is a chain or a verdict.
const TARGETS: &[&str] = &[
    "AUDIT",
    "CHECKSUM",
    "CLASSIFY",
    "CLUSTERIP",
    "CONNMARK",
    "CONNSECMARK",
    "CT",
    "DNAT",
    "DNPT",
    "DSCP",
    "ECN",
    "HL",
    "HMARK",
    "IDLETIMER",
    "LED",
    "LOG",
    "MARK",
    "MASQUERADE",
    "NETMAP",
    "NFLOG",
    "NFQUEUE",
    "NOTRACK",
    "QUEUE",
    "RATEEST",
    "REDIRECT",
    "SECMARK",
    "SET",
    "SNAT",
    "SNPT",
    "SYNPROXY",
    "TCPMSS",
    "TCPOPTSTRIP",
    "TEE",
    "TOS",
    "TPROXY",
    "TRACE",
    "TTL",
    "ULOG",
];

/// Whether the extension has the option; none where the extension is not known here.
pub(super) fn has_option(extension: &str, option: &str) -> Option<bool> {
    OPTIONS
        .iter()
        .find(|(name, _)| *name == extension)
        .map(|(_, options)| options.contains(&option))
}

/// The match that iptables loads by itself for the options of a protocol (`-p tcp --dport 80`).
pub(super) fn of_protocol(protocol: &str) -> Option<&'static str> {
    match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "6" => Some("tcp"),
        "udp" | "17" => Some("udp"),
        "udplite" | "136" => Some("udplite"),
        "sctp" | "132" => Some("sctp"),
        "dccp" | "33" => Some("dccp"),
        "icmp" | "1" => Some("icmp"),
        "icmpv6" | "ipv6-icmp" | "58" => Some("icmp6"),
        "esp" | "50" => Some("esp"),
        "ah" | "51" => Some("ah"),
        "mh" | "ipv6-mh" | "mobility-header" | "135" => Some("mh"),
        _ => None,
    }
}

/// Whether the option takes one value that may look like an option itself.
pub(super) fn takes_any_text(option: &str) -> bool {
    matches!(
        option,
        "--comment"
            | "--log-prefix"
            | "--nflog-prefix"
            | "--ulog-prefix"
            | "--string"
            | "--hex-string"
            | "--bytecode"
            | "--u32"
    )
}

/// Whether a match loses only a condition when it loses this option.
pub(super) fn is_condition(extension: &str, option: &str) -> bool {
    match extension {
        "addrtype" => matches!(option, "--src-type" | "--dst-type"),
        "owner" => matches!(option, "--uid-owner" | "--gid-owner" | "--socket-exists"),
        "set" => option == "--match-set",
        _ => CONDITIONS.contains(&extension) && has_option(extension, option) == Some(true),
    }
}

/// Whether the name after `-j` is an extension's and not a chain's.
pub(super) fn is_target(name: &str) -> bool {
    TARGETS.contains(&name)
}
