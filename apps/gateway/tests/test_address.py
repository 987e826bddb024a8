"""Where a request comes from."""

import pytest

from bookstore.gateway.address import Proxies, neighbourhood

TRUSTED = Proxies(["10.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [b"6.6.6.6"], "192.0.2.1"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", [b"6.6.6.6, 9.9.9.9, 10.0.0.7"], "9.9.9.9"),
        ("10.0.0.5", [b"6.6.6.6", b"9.9.9.9", b"10.0.0.7"], "9.9.9.9"),
        ("10.0.0.5", [b"10.0.0.6, 10.0.0.7"], "10.0.0.6"),
        ("10.0.0.5", [b"6.6.6.6, unknown"], "10.0.0.5"),
        ("10.0.0.5", [b"6.6.6.6, nonsense, 10.0.0.7"], "10.0.0.7"),
        ("10.0.0.5", [b"\xff"], "10.0.0.5"),
        ("::1", [b"2001:DB8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.5", [b"9.9.9.9"], "9.9.9.9"),
        ("nowhere", [b"9.9.9.9"], "nowhere"),
    ],
)
def test_the_first_from_the_right_that_no_trusted_proxy_has(peer, forwarded, client):
    assert TRUSTED.client(peer, forwarded) == client


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ],
)
def test_one_customer_of_a_network_counts_once(address, counted):
    assert neighbourhood(address) == counted
