"""Where OSC is listened for: taken ports, addresses of other machines, multicast groups, broadcasts."""

import re
import socket
import sys

import pytest

from engine.control.listen import PortTaken, listen
from engine.control.osc import OscIn
from engine.show.params import Registry
from tests.packets import message


def test_a_taken_port_is_one_sentence_with_the_cure(registry: Registry, osc: OscIn) -> None:
    with pytest.raises(PortTaken) as caught:
        OscIn("127.0.0.1", osc.port, registry).start()
    said = str(caught.value)
    assert re.fullmatch(
        rf"OSC port {osc.port} on 127\.0\.0\.1 is taken by .+: close it, or choose another port with "
        r"--osc-port \(or port under \[osc\] in the show\)",
        said,
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "192.168..1"])
def test_an_address_of_another_machine(registry: Registry, host: str) -> None:
    with pytest.raises(PortTaken, match=r"is not an address of this machine: put 127\.0\.0\.1, or 0"):
        OscIn(host, 7000, registry).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds to an address that is not there yet")
def test_a_gallery_does_not_wait_for_its_address(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    osc = OscIn("192.0.2.1", 0, registry, patient=True)
    with caplog.at_level("WARNING", "pedesis.osc"):
        osc.start()
    assert "192.0.2.1 is not an address of this machine yet" in caplog.text and osc.port > 0
    osc.close()


def test_localhost_is_where_controllers_send_to(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    four = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))
    six = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 0, 0, 0))
    monkeypatch.setattr("engine.control.listen.socket.getaddrinfo", lambda *_, **__: [six, four])
    osc = OscIn("localhost", 0, registry)
    osc.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(message("/walk/seed", 5), ("127.0.0.1", osc.port))
    assert osc.drain() == [("walk.seed", 5)]
    osc.close()


def test_a_port_is_free_again_after_close(registry: Registry, osc: OscIn) -> None:
    osc.close()
    again = OscIn("127.0.0.1", osc.port, registry)
    again.start()
    again.close()
    again.close()
    assert again.drain() == []


def test_addresses(registry: Registry) -> None:
    assert OscIn("127.0.0.1", 0, registry).addresses() == ["127.0.0.1"]
    wide = OscIn("0.0.0.0", 0, registry).addresses()
    assert wide and all(socket.inet_aton(a) for a in wide)
    assert "127.0.0.1" not in wide or wide == ["127.0.0.1"]


def test_bound_wide_it_hears_every_address(registry: Registry) -> None:
    osc = OscIn("0.0.0.0", 0, registry)
    osc.start()
    try:
        for n, address in enumerate(osc.addresses()):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.sendto(message("/walk/seed", n), (address, osc.port))
            sender.close()
            assert osc.drain() == [("walk.seed", n)]
    finally:
        osc.close()


# Multicast and broadcast


def multicast_sender(group: str, port: int) -> socket.socket | None:
    """Something that sends to a group; None where this machine cannot."""
    if ":" not in group:
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.connect((group, port))
        return sender
    for index, _ in socket.if_nameindex():
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            sender.connect((group, port, 0, index))
            return sender
        except OSError:  # loopback, or a network without IPv6
            sender.close()
    return None


@pytest.mark.skipif(sys.platform == "win32", reason="its loopback has no multicast")
@pytest.mark.parametrize("group", ["239.74.11.3", "ff15::7:11", "ff12::7:11", "ff12::7:11%one"])
def test_every_show_in_a_multicast_group_hears_every_message(registry: Registry, group: str) -> None:
    where, _, one = group.partition("%")
    trial = multicast_sender(where, 9)
    if trial is None:
        pytest.skip("this machine has no IPv6 multicast")
    if one:  # on one network only
        group = f"{where}%{socket.if_indextoname(trial.getpeername()[3])}"
    trial.close()
    first = OscIn(group, 0, registry)
    first.start()
    second = OscIn(group, first.port, registry)
    second.start()
    sender = multicast_sender(where, first.port)
    assert sender is not None
    sender.send(message("/walk/seed", 5))
    assert first.drain() == second.drain() == [("walk.seed", 5)]
    for each in (sender, first, second):
        each.close()


@pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's order of calls")
def test_a_network_that_comes_later_is_joined() -> None:
    listener = listen("239.74.11.4", 0)
    left = socket.inet_aton("239.74.11.4") + socket.inet_aton("127.0.0.1")
    listener.socket.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, left)
    sender = multicast_sender("239.74.11.4", listener.socket.getsockname()[1])
    assert sender is not None
    sender.send(b"unheard")
    with pytest.raises(BlockingIOError):
        listener.socket.recv(100)
    listener.refresh()
    listener.refresh()
    sender.send(b"heard")
    assert listener.socket.recv(100) == b"heard"
    sender.close()
    listener.socket.close()


def test_where_no_network_takes_part_in_multicast_it_says_so(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.net_if_addrs", dict)
    with pytest.raises(PortTaken, match=r"cannot listen at 239\.74\.11\.3 port 0 \(no network takes part"):
        OscIn("239.74.11.3", 0, registry).start()


def test_a_broadcast_address_is_refused_with_the_cure(registry: Registry) -> None:
    with pytest.raises(PortTaken, match=r"255 is a broadcast address, which is for sending: put 0\.0\.0\.0"):
        OscIn("255.255.255.255", 7000, registry).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux broadcasts on loopback")
def test_broadcasts_are_heard_when_bound_wide(registry: Registry) -> None:
    osc = OscIn("0.0.0.0", 0, registry)
    osc.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(message("/walk/seed", 5), ("127.255.255.255", osc.port))
    assert osc.drain() == [("walk.seed", 5)]
    osc.close()
