//! An address → whether a page may be read from it: what is on the public internet, and what the operator names besides.
//!
//! The ranges are those of the IANA registries of special-purpose addresses (RFC 6890 and what followed). Forms that carry another
//! address inside (mapped, NAT64, 6to4, Teredo) are refused, as the inner one could be anything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Address and length of its network.
type V4 = ([u8; 4], u8);
type V6 = ([u16; 2], u8);

/// Not of the public internet.
const SPECIAL_V4: [V4; 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
/// Parts of 2000::/3 that are not either.
const SPECIAL_V6: [V6; 4] = [([0x2001, 0], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];
/// Where clouds tell a machine its own keys: never, whatever the operator names.
const KEYS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
];

/// Whether it may be reached, beside the public ones also in these networks.
pub(super) fn may_reach(address: IpAddr, private: &[IpNet]) -> bool {
    let plain = address.to_canonical();
    !KEYS.contains(&plain)
        && !is_link_local(plain)
        && (is_public(address) || private.iter().any(|net| net.contains(&plain)))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_link_local(),
        IpAddr::V6(six) => six.is_unicast_link_local(),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let number = u32::from(four);
            SPECIAL_V4.iter().all(|(net, bits)| number >> (32 - bits) != u32::from_be_bytes(*net) >> (32 - bits))
        }
        IpAddr::V6(six) => {
            let [first, second, ..] = six.segments();
            let head = u32::from(first) << 16 | u32::from(second);
            let within = |([one, two], bits): &V6| {
                head >> (32 - bits) == (u32::from(*one) << 16 | u32::from(*two)) >> (32 - bits)
            };
            head >> 29 == 1 && !SPECIAL_V6.iter().any(within)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(address: &str, private: &[&str]) -> bool {
        let private: Vec<IpNet> = private.iter().map(|net| net.parse().unwrap()).collect();
        may_reach(address.parse().unwrap(), &private)
    }

    #[test]
    fn only_the_public_internet_may_be_reached() {
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(may(public, &[]), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!may(special, &[]), "{special}");
        }
    }

    #[test]
    fn the_operator_may_name_networks_but_none_that_hands_out_keys() {
        assert!(may("10.1.2.3", &["10.1.0.0/16"]));
        assert!(may("::ffff:10.1.2.3", &["10.1.0.0/16"]));
        assert!(!may("10.2.2.3", &["10.1.0.0/16"]));
        for key in
            ["169.254.169.254", "169.254.1.1", "100.100.100.200", "fd00:ec2::254", "fe80::1", "::ffff:169.254.169.254"]
        {
            assert!(!may(key, &["0.0.0.0/0", "::/0"]), "{key}");
        }
    }
}
