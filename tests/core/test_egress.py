from __future__ import annotations

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core import egress
from portal.core.egress import EgressPolicy, approve, special_use
from portal.core.errors import EgressRefusedError, InputError, ServiceUnavailableError, TimedOutError

PUBLIC = "93.184.216.34"


def resolving(monkeypatch: pytest.MonkeyPatch, **answers: list[str]) -> list[str]:
    """Replace the name service: host (dots as ``__``) -> addresses. Returns the log of questions."""
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[host.replace(".", "__").replace("-", "_")]

    monkeypatch.setattr(egress, "resolve", resolve)
    return asked


@pytest.mark.req("R298")
@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "this machine"),
        ("127.9.9.9", "this machine"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "carrier"),
        ("169.254.1.1", "link-local"),
        ("169.254.169.254", "metadata"),
        ("169.254.170.2", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("192.0.2.1", "documentation"),
        ("::", "unspecified"),
        ("::1", "this machine"),
        ("[::1]", "this machine"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd12:3456::1", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "documentation"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::ffff:169.254.169.254", "metadata"),
        ("::ffff:0:10.0.0.1", "private"),
        ("::127.0.0.1", "this machine"),
        ("64:ff9b::7f00:1", "this machine"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("2002:7f00:1::", "this machine"),
        ("2002:0a00:0001::1", "private"),
    ],
)
def test_addresses_that_are_not_on_the_public_internet_are_refused(address: str, what: str) -> None:
    with pytest.raises(EgressRefusedError, match=what) as caught:
        approve(address, 80, EgressPolicy())
    assert "CALLBOARD_EGRESS_ALLOW" in caught.value.remedy


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "::ffff:101:101", "64:ff9b::101:101"]
)
def test_public_addresses_are_approved(address: str) -> None:
    assert approve(address, 443, EgressPolicy()).addresses == (address,)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "LOCALHOST."])
def test_other_spellings_of_this_machine_are_refused_after_resolution(host: str) -> None:
    with pytest.raises(EgressRefusedError):
        approve(host, 80, EgressPolicy())


def test_the_approved_addresses_are_those_that_were_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, example__org=[PUBLIC, "10.0.0.1", "::1"])
    approved = approve("Example.ORG.", 443, EgressPolicy())
    assert approved == egress.Approved("example.org", 443, (PUBLIC,))
    assert asked == ["example.org"]


@pytest.mark.parametrize(
    ("entry", "port", "allowed"),
    [
        ("git.corp", 80, True),
        ("GIT.corp.", 8443, True),
        ("git.corp:8443", 8443, True),
        ("git.corp:8443", 80, False),
        ("other.corp", 80, False),
        ("corp", 80, False),
        ("10.0.0.0/8", 80, True),
        ("10.1.2.3", 80, True),
        ("10.1.2.3:80", 80, True),
        ("10.1.2.3:81", 80, False),
        ("10.1.2.4", 80, False),
    ],
)
def test_an_admin_opens_hosts_ports_addresses_and_networks(
    monkeypatch: pytest.MonkeyPatch, entry: str, port: int, allowed: bool
) -> None:
    resolving(monkeypatch, git__corp=["10.1.2.3"])
    policy = EgressPolicy((entry,))
    if allowed:
        assert approve("git.corp", port, policy).addresses == ("10.1.2.3",)
    else:
        with pytest.raises(EgressRefusedError):
            approve("git.corp", port, policy)


@pytest.mark.parametrize(
    "answer", ["169.254.169.254", "0.0.0.0", "fe80::1", "224.0.0.1", "::ffff:169.254.169.254"]
)
def test_an_allowed_host_name_does_not_open_the_metadata_service(
    monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    resolving(monkeypatch, git__corp=[answer])
    with pytest.raises(EgressRefusedError):
        approve("git.corp", 80, EgressPolicy(("git.corp",)))


def test_an_ipv6_entry_may_have_a_port() -> None:
    assert approve("::1", 80, EgressPolicy(("[::1]:80",))).addresses == ("::1",)
    with pytest.raises(EgressRefusedError):
        approve("::1", 81, EgressPolicy(("[::1]:80",)))


def test_a_policy_grows_without_changing_the_one_it_came_from() -> None:
    base = EgressPolicy(("a.corp",))
    assert base.plus("b.corp", "a.corp").allowed == ("a.corp", "b.corp")
    assert base.allowed == ("a.corp",)


@pytest.mark.parametrize("entry", ["", "http://git.corp/", "git corp", "a:b:c", "10.0.0.0/99", "-x"])
def test_an_entry_that_nobody_can_read_is_refused_at_once(entry: str) -> None:
    with pytest.raises(InputError):
        EgressPolicy((entry,))


@pytest.mark.parametrize(
    "host", ["", " ", "-oProxyCommand=x", "a b", "a\0b", "a/b", "a..b", "x" * 300, "a@b", "1::g"]
)
def test_what_is_not_a_host_name_is_refused(host: str) -> None:
    with pytest.raises(InputError):
        approve(host, 80, EgressPolicy())


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_not_a_port_is_refused(port: int) -> None:
    with pytest.raises(InputError):
        approve("1.1.1.1", port, EgressPolicy())


def test_an_unknown_name_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(egress, "resolve", resolve)
    with pytest.raises(ServiceUnavailableError, match=r"nowhere\.example could not be found"):
        approve("nowhere.example", 80, EgressPolicy())


def test_a_name_service_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "resolve", lambda host, port: time.sleep(3) or [])
    started = time.monotonic()
    with pytest.raises(TimedOutError):
        approve("slow.example", 80, EgressPolicy(), timeout=0.2)
    assert time.monotonic() - started < 2


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_inside_ipv6(address: ipaddress.IPv4Address) -> None:
    for text in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert special_use(ipaddress.ip_address(text)) == special_use(address)


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_approved(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert special_use(address) or (address.version == 6 and address in ipaddress.ip_network("::/3"))
