//! Which addresses are called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses are called besides the public ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowPrivate {
    /// None.
    #[default]
    Nothing,
    /// Those in these networks.
    Networks(Vec<IpNet>),
    /// Whatever there is: the operator trusts everybody who may add an endpoint with the whole network.
    Everything,
}

impl AllowPrivate {
    /// Whether this address may be called.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match self {
            Self::Everything => true,
            Self::Networks(networks) => {
                is_public(address) || networks.iter().any(|network| network.contains(&address))
            }
            Self::Nothing => is_public(address),
        }
    }
}

/// Whether an address is one of the Internet at large, by the IANA registries of special-purpose addresses.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127, ..]              // this network, private, loopback
            | [100, 64..=127, ..]       // behind a carrier's NAT
            | [169, 254, ..]            // link-local; clouds tell credentials there
            | [172, 16..=31, ..]        // private
            | [192, 0, 0 | 2, _]        // protocol assignments, documentation
            | [192, 88, 99, _]          // 6to4 relays
            | [192, 168, ..]            // private
            | [198, 18 | 19, ..]        // benchmarks
            | [198, 51, 100, _]         // documentation
            | [203, 0, 113, _]          // documentation
            | [224..=255, ..] // multicast, reserved, broadcast
    )
}

/// Global unicast is 2000::/3; everything else (loopback, link-local, unique-local, multicast, NAT64, …) is not public. Of it,
/// some is for special purposes, or carries an IPv4 address that nobody has judged.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    matches!(segments, [0x2000..=0x3fff, ..])
        && !matches!(
            segments,
            [0x2001, 0..=0x1ff, ..]           // protocol assignments: Teredo, benchmarks, ORCHID
                | [0x2001, 0xdb8, ..]         // documentation
                | [0x2002, ..]                // 6to4
                | [0x3fff, 0..=0xfff, ..] // documentation
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_and_what_is_not() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2001:200::1",
            "3ffe::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn what_is_allowed_is_what_was_named() {
        let networks =
            AllowPrivate::Networks(vec!["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (address, admitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("127.0.0.1", false),
            ("1.1.1.1", true),
        ] {
            assert_eq!(networks.admits(address.parse().unwrap()), admitted, "{address}");
        }
        assert!(AllowPrivate::Everything.admits("127.0.0.1".parse().unwrap()));
        assert!(!AllowPrivate::Nothing.admits("10.1.2.3".parse().unwrap()));
    }
}
