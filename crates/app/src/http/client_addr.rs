//! Who is asking. `X-Forwarded-For` is anybody's claim, except as far as proxies of ours have written it: it is read
//! from the right, and only while the speaker is trusted.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The client's address.
pub(super) fn client_address<'a>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = peer.to_canonical();
    for hop in forwarded.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        // A trusted proxy wrote nonsense: whoever is behind it is not known, so the proxy itself answers for it.
        let Some(address) = parse_hop(hop.trim()) else { break };
        client = address;
    }
    client
}

/// An address, which some proxies write with a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), lines.iter().copied(), &trusted).to_string()
    }

    #[test]
    fn strangers_are_not_believed() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_untrusted_hop_counts() {
        let trusted = ["10.0.0.0/8", "::1/128"];
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1"], &trusted), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"], &trusted), "198.51.100.1");
        assert_eq!(
            client("::1", &["6.6.6.6", "198.51.100.1"], &trusted),
            "198.51.100.1",
            "several lines are one list"
        );
        assert_eq!(client("10.0.0.1", &["10.0.0.3"], &trusted), "10.0.0.3", "all trusted: the farthest");
        assert_eq!(client("10.0.0.1", &[], &trusted), "10.0.0.1");
    }

    #[test]
    fn forms_and_nonsense() {
        let trusted = ["10.0.0.0/8"];
        for (line, expected) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("198.51.100.1, unknown", "10.0.0.1"),
            ("", "10.0.0.1"),
            (",,,", "10.0.0.1"),
        ] {
            assert_eq!(client("::ffff:10.0.0.1", &[line], &trusted), expected, "{line}");
        }
    }
}
