"""Where a server listens: a place of this machine, and what is said where it cannot be had."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address

from automagik_prompts.exceptions import ConfigurationError

_TAKEN = "Port {port} of {host} is taken by another program. End that one, or name another port: --port {next}"


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that nobody serves yet, but that has its place.

    Args:
        host: The address, or its name.
        port: The port; 0 for any that is free.

    Raises:
        ConfigurationError: The place cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise ConfigurationError(f"There is no address {host}. Name one of this machine: --host 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        # What a server that has just ended has left behind does not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(_TAKEN.format(host=host, port=port, next=port + 1)) from None
        why = (error.strerror or type(error).__name__).lower()
        raise ConfigurationError(f"It cannot listen at {host}, port {port}: {why}.") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the address of a socket, without a path."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
