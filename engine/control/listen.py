"""The UDP socket that OSC arrives at: which addresses it can listen at, and why it cannot.

    listener = listen("239.1.2.3", 7000)       # PortTaken: one sentence with the cure
    listener.socket.recv(65535)
    listener.refresh()                         # now and then: joins the group on networks that came since

A multicast group is joined on every network of this machine, and its port is shared with other programs in
the group. Any thread, one at a time.
"""

import contextlib
import errno
import logging
import socket
import struct
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import psutil

from engine.show.errors import CannotStart

log = logging.getLogger("pedesis.osc")

RECEIVE_BYTES = 4 << 20
_IP_FREEBIND = 15  # Linux: bind to an address that is not there yet
_SO_MEMINFO = 55  # Linux: nine counters of a socket, the last being packets dropped
_WIDE = ("", "0.0.0.0", "::")
_BROADCAST = "255.255.255.255"


class PortTaken(CannotStart):
    """The address cannot be listened at; the message says why and what to do about it.

    `holder`: who has it, if somebody has."""

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(message)
        self.holder = holder


@dataclass
class Listener:
    """A bound socket that never blocks, and the multicast group it is in."""

    socket: socket.socket
    group: tuple[Any, ...] | None = None  # as getaddrinfo gives it

    def refresh(self) -> None:
        """Joins the group on every network; being in it already does no harm."""
        if self.group is not None:
            _join(self.socket, self.group)

    def lost(self) -> int:
        """Packets the kernel has dropped because nobody read them in time; 0 where it does not tell."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError, struct.error):
                counters = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
                return int(struct.unpack("=9I", counters)[8])
        return 0


def listen(host: str, port: int, patient: bool = False) -> Listener:
    """A listener at host and port; port 0 takes any free one. Raises PortTaken.

    patient: where it can be had (Linux), an address that is not this machine's yet will do. A gallery's
    machine is switched on, and the show begins before the network has given it one.
    """
    opened = None
    try:
        known = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_DGRAM)
        # "localhost" is ::1 first on most machines, and controllers send to 127.0.0.1.
        entry = min(known, key=lambda entry: entry[0] != socket.AF_INET)
        where = entry[4]
        if str(where[0]) in _broadcast_addresses():
            raise PortTaken(
                f"OSC host {host} is a broadcast address, which is for sending: put 0.0.0.0 under [osc] in the "
                "show to hear what is broadcast"
            )
        opened = socket.socket(*entry[:3])
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        if ip_address(str(where[0]).partition("%")[0]).is_multicast:
            _bind_group(opened, where)
            listener = Listener(opened, where)
        else:
            _bind(opened, where, host, patient)
            listener = Listener(opened)
        opened.setblocking(False)
        return listener
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have, such as "192.168..1"
        if opened is not None:
            opened.close()
        raise error if isinstance(error, PortTaken) else _why(host, port, error) from None


def reachable_at(host: str) -> list[str]:
    """Where controllers find this machine: its addresses on the network when it listens at all of them."""
    if host not in _WIDE:
        return [host]
    return [a for _, a in _networks() if not a.startswith("127.")] or ["127.0.0.1"]


def local_addresses() -> set[str]:
    """IPv4 addresses of this machine."""
    return {address for _, address in _networks()} | {"127.0.0.1"}


def _bind(opened: socket.socket, where: tuple[Any, ...], host: str, patient: bool) -> None:
    # No SO_REUSEADDR: with it two shows could hold one port and share its messages out at random.
    try:
        opened.bind(where)
    except OSError as error:
        if not patient or error.errno != errno.EADDRNOTAVAIL or sys.platform != "linux":
            raise
        opened.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        opened.bind(where)
        log.warning("OSC host %s is not an address of this machine yet: listening for when it is", host)


def _bind_group(opened: socket.socket, group: tuple[Any, ...]) -> None:
    """Binds to a multicast group and joins it. Every program in a group gets every message, so the port is shared."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sys.platform not in ("linux", "win32"):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    anywhere = ("::" if opened.family == socket.AF_INET6 else "", *group[1:])
    try:
        # Bound to the group itself, where the system allows it, the socket hears nothing but the group.
        opened.bind(anywhere if sys.platform == "win32" else group)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EADDRNOTAVAIL):
            raise
        opened.bind(anywhere)  # a group of the link (ff02::) belongs to one network; ours is on all of them
    if not _join(opened, group):
        raise OSError(errno.ENODEV, "no network takes part in multicast")


def _join(opened: socket.socket, group: tuple[Any, ...]) -> bool:
    """Joins on every network, or on the one that the group names (ff02::1%eth0); False when none lets us."""
    joined = False
    if opened.family == socket.AF_INET6:
        whole = socket.inet_pton(socket.AF_INET6, str(group[0]).partition("%")[0])
        scopes = [group[3]] if group[3] else [index for index, _ in socket.if_nameindex()]
        requests = [whole + struct.pack("@I", scope) for scope in scopes]
        level, option = socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP
    else:
        here = socket.inet_aton(group[0])
        requests = [here + socket.inet_aton(address) for _, address in _networks()]
        level, option = socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP
    for request in requests:
        try:
            opened.setsockopt(level, option, request)
            joined = True
        except OSError as error:  # a network without multicast, one just gone, or one we are in already
            joined = joined or error.errno == errno.EADDRINUSE
    return joined


def _networks() -> list[tuple[str, str]]:
    """(network interface, IPv4 address) of all that are up."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return [
        (name, address.address)
        for name, each in psutil.net_if_addrs().items()
        for address in each
        if name in up and address.family == socket.AF_INET
    ]


def _broadcast_addresses() -> set[str]:
    each = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
    found = {a.broadcast for a in each if a.family == socket.AF_INET and a.broadcast and a.broadcast != a.address}
    return {_BROADCAST, *found}


def _why(host: str, port: int, error: OSError | UnicodeError) -> PortTaken:
    """One sentence with the cure."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        holder = _holder(port)
        return PortTaken(
            f"OSC port {port} on {host} is taken by {holder}: close it, or choose another port with "
            "--osc-port (or port under [osc] in the show)",
            holder,
        )
    if number == errno.EACCES:
        return PortTaken(f"OSC port {port} is reserved by the system: choose one from 1024 to 65535 with --osc-port")
    if isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL:
        return PortTaken(
            f"OSC host {host!r} is not an address of this machine: put 127.0.0.1, or 0.0.0.0 for the whole "
            "network, under [osc] in the show"
        )
    why = getattr(error, "strerror", None) or error
    return PortTaken(
        f"OSC cannot listen at {host} port {port} ({why}): choose another host or port under [osc] in the show"
    )


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="udp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
