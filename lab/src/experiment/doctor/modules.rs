//! The kernel's modules that what is refused takes, by the names under which the kernel itself asks for them: modules
//! declare these as aliases, and `modprobe` resolves them.

use std::collections::BTreeSet;

use super::needs::Need;
use crate::catalog::{Backend, Family, Tool};
use crate::scenario::{InterfaceKind, Setup};

/// What the kernel refuses.
#[derive(Debug, Clone)]
pub enum Lacking<'a> {
    /// A rule for something that it names.
    Rule {
        /// In whose words it is.
        tool: Tool,
        /// What it names.
        need: Need,
        /// The table that it stands in.
        table: &'a str,
    },
    /// Something of what a scenario has around its rules.
    Around(&'a Setup),
}

/// The command that loads the modules for `lacking`, as root: what all rules of the backend take comes first. It goes on
/// where it finds no module, as it does of what is part of the kernel.
pub fn modprobe(backend: Backend, lacking: &[Lacking<'_>]) -> String {
    let base: BTreeSet<String> = lacking.iter().flat_map(|of| base(backend, of)).collect();
    let asked: BTreeSet<String> = lacking.iter().flat_map(|of| asked(backend, of)).collect();
    let words: Vec<String> = base.into_iter().chain(asked).collect();
    format!("modprobe -a {}", words.join(" "))
}

/// `xt_prefix` of net/netfilter/x_tables.c (Linux 6.18, as all that is cited here of the kernel).
fn prefix(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ip",
        Family::Ipv6 => "ip6",
    }
}

/// What no rule of a backend can do without.
fn base(backend: Backend, lacking: &Lacking<'_>) -> Vec<String> {
    let Lacking::Rule { tool, need, .. } = lacking else {
        return Vec::new();
    };
    match (backend, tool.dialect().is_xtables()) {
        (Backend::Legacy, _) => vec![format!("{}_tables", prefix(need.family))],
        (Backend::Nft, true) => vec!["nf_tables".to_owned(), "nft_compat".to_owned()],
        (Backend::Nft, false) => vec!["nf_tables".to_owned()],
    }
}

/// What the kernel asks for where it has not yet what is lacking.
fn asked(backend: Backend, lacking: &Lacking<'_>) -> Vec<String> {
    let (tool, need, table) = match lacking {
        Lacking::Rule { tool, need, table } => (tool, need, *table),
        Lacking::Around(setup) => return around(setup),
    };
    let prefix = prefix(need.family);
    let mut asked = match backend {
        // `xt_request_find_table_lock` of net/netfilter/x_tables.c.
        Backend::Legacy => vec![format!("{prefix}table_{table}")],
        Backend::Nft => in_nft(need, table),
    };
    if tool.dialect().is_xtables() {
        // `xt_request_find_match` and `xt_request_find_target` of the same, for both backends.
        asked.push(format!("{prefix}t_{}", in_kernel(&need.name)));
    }
    asked
}

/// What nf_tables asks for: chains of nat are a type of their own (`nft_chain_type_get`), and expressions are by name
/// (`__nft_expr_type_get`, both of net/netfilter/nf_tables_api.c). iptables-nft has some too, in place of what its rules
/// name (`add_match` and `add_log` of iptables/nft.c, 1.8.11).
fn in_nft(need: &Need, table: &str) -> Vec<String> {
    // NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6.
    let number = match need.family {
        _ if table.starts_with("inet ") => 1,
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    };
    let expression = match need.name.as_str() {
        "limit" => "limit".to_owned(),
        "log" | "NFLOG" => "log".to_owned(),
        "ct" | "numgen" | "notrack" => need.name.clone(),
        "dnat" | "snat" => "nat".to_owned(),
        "masquerade" => "masq".to_owned(),
        "redirect" => "redir".to_owned(),
        // These have a module a family.
        "fib" | "reject" => format!("{number}-{}", need.name),
        _ => String::new(),
    };
    let is_of_nat = matches!(expression.as_str(), "nat" | "masq" | "redir") || table == "nat";
    let chain = is_of_nat.then(|| format!("nft-chain-{number}-nat"));
    let expression = (!expression.is_empty()).then(|| format!("nft-expr-{expression}"));
    chain.into_iter().chain(expression).collect()
}

/// The name that iptables gives the kernel: some are other names of the same (`real_name` in extensions/libxt_conntrack.c
/// and libxt_CT.c, `xtables_find_match` in libxtables/xtables.c, 1.8.11).
fn in_kernel(name: &str) -> &str {
    match name {
        "state" => "conntrack",
        "NOTRACK" => "CT",
        "icmpv6" | "ipv6-icmp" => "icmp6",
        name => name,
    }
}

/// Connections that are forgotten (NFNL_SUBSYS_CTNETLINK, `nfnetlink_rcv_msg` of net/netfilter/nfnetlink.c), interfaces
/// (`rtnl_newlink` of net/core/rtnetlink.c), sets (NFNL_SUBSYS_IPSET, and `load_settype` of
/// net/netfilter/ipset/ip_set_core.c).
fn around(setup: &Setup) -> Vec<String> {
    let mut asked = vec!["nfnetlink-subsys-1".to_owned()];
    let interfaces = setup.interfaces.iter();
    asked.extend(interfaces.map(|interface| match interface.kind {
        InterfaceKind::Bridge => "rtnl-link-bridge".to_owned(),
        InterfaceKind::Veth => "rtnl-link-veth".to_owned(),
    }));
    for set in &setup.sets {
        asked.push("nfnetlink-subsys-6".to_owned());
        asked.push(format!("ip_set_{}", set.kind.as_str()));
    }
    asked
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn rule<'a>(tool: Tool, family: Family, name: &str, table: &'a str) -> Lacking<'a> {
        let name = name.to_owned();
        Lacking::Rule {
            tool,
            need: Need { family, name },
            table,
        }
    }

    fn of_iptables<'a>(family: Family, name: &str, table: &'a str) -> Lacking<'a> {
        rule(Tool::Iptables, family, name, table)
    }

    /// All of them are aliases or modules of Debian's kernel 6.1.0-56. It has no xt_tcp.ko, xt_MARK, xt_DNAT, xt_REJECT.
    #[rstest]
    #[case(Family::Ipv4, "tcp", "filter", "ip_tables ipt_tcp iptable_filter")]
    #[case(
        Family::Ipv6,
        "icmp6",
        "filter",
        "ip6_tables ip6t_icmp6 ip6table_filter"
    )]
    #[case(
        Family::Ipv6,
        "ipv6-icmp",
        "filter",
        "ip6_tables ip6t_icmp6 ip6table_filter"
    )]
    #[case(Family::Ipv4, "DNAT", "nat", "ip_tables ipt_DNAT iptable_nat")]
    #[case(Family::Ipv4, "MARK", "mangle", "ip_tables ipt_MARK iptable_mangle")]
    fn of_legacy_tables(
        #[case] family: Family,
        #[case] name: &str,
        #[case] table: &str,
        #[case] words: &str,
    ) {
        let command = modprobe(Backend::Legacy, &[of_iptables(family, name, table)]);
        assert_eq!(command, format!("modprobe -a {words}"));
    }

    #[rstest]
    #[case(Family::Ipv4, "DNAT", "nat", "ipt_DNAT nft-chain-2-nat")]
    #[case(Family::Ipv6, "SNAT", "nat", "ip6t_SNAT nft-chain-10-nat")]
    #[case(Family::Ipv6, "REJECT", "filter", "ip6t_REJECT")]
    #[case(Family::Ipv4, "limit", "filter", "ipt_limit nft-expr-limit")]
    #[case(Family::Ipv4, "NFLOG", "filter", "ipt_NFLOG nft-expr-log")]
    #[case(Family::Ipv4, "state", "filter", "ipt_conntrack")]
    #[case(Family::Ipv4, "NOTRACK", "raw", "ipt_CT")]
    fn of_nf_tables(
        #[case] family: Family,
        #[case] name: &str,
        #[case] table: &str,
        #[case] words: &str,
    ) {
        let command = modprobe(Backend::Nft, &[of_iptables(family, name, table)]);
        assert_eq!(command, format!("modprobe -a nf_tables nft_compat {words}"));
    }

    #[rstest]
    #[case(Family::Ipv4, "masquerade", "nat", "nft-chain-2-nat nft-expr-masq")]
    #[case(Family::Ipv6, "dnat", "inet firewalld", "nft-chain-1-nat nft-expr-nat")]
    #[case(Family::Ipv6, "reject", "filter", "nft-expr-10-reject")]
    #[case(Family::Ipv4, "reject", "inet firewalld", "nft-expr-1-reject")]
    #[case(Family::Ipv4, "fib", "kube-proxy", "nft-expr-2-fib")]
    #[case(Family::Ipv4, "ct", "filter", "nft-expr-ct")]
    fn of_nft(
        #[case] family: Family,
        #[case] name: &str,
        #[case] table: &str,
        #[case] words: &str,
    ) {
        let command = modprobe(Backend::Nft, &[rule(Tool::Nft, family, name, table)]);
        assert_eq!(command, format!("modprobe -a nf_tables {words}"));
    }

    #[test]
    fn what_several_rules_take_is_named_once_and_what_all_take_first() {
        let lacking = [
            of_iptables(Family::Ipv4, "tcp", "filter"),
            of_iptables(Family::Ipv4, "udp", "filter"),
            of_iptables(Family::Ipv6, "tcp", "filter"),
        ];
        assert_eq!(
            modprobe(Backend::Legacy, &lacking),
            "modprobe -a ip6_tables ip_tables ip6t_tcp ip6table_filter ipt_tcp ipt_udp iptable_filter"
        );
    }

    #[test]
    fn where_no_rule_was_tried_only_what_is_around_it_is_named() {
        let setup: Setup = toml::from_str(
            "interfaces = [{ name = \"b\", kind = \"bridge\" }]\n\
             sets = [{ name = \"s\", type = \"hash:ip,port\", family = \"ipv4\" }]",
        )
        .expect("it is a setup");
        assert_eq!(
            modprobe(Backend::Legacy, &[Lacking::Around(&setup)]),
            "modprobe -a ip_set_hash:ip,port nfnetlink-subsys-1 nfnetlink-subsys-6 rtnl-link-bridge"
        );
    }
}
