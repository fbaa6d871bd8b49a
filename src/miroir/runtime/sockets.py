"""The sockets that clients connect to: one, or one for each process that shares the port."""

import socket

from miroir.config.model import ListenConfig
from miroir.errors import ConfigError


def listening_socket(listen: ListenConfig, *, shared: bool) -> socket.socket:
    """
    Return a socket bound to the address of the configuration, not listening yet.

    Args:
        listen: Where.
        shared: Whether other processes of this server are going to have the same port.

    Raises:
        ConfigError: Somebody else listens there, or nobody can.
    """
    try:
        bound = _bound(listen.host, listen.port, shared=False)
        if not shared:
            return bound
        # The kernel would let another server of the same user share the port: it was just free.
        port = bound.getsockname()[1]
        bound.close()
        return _bound(listen.host, port, shared=True)
    except OSError as error:
        raise ConfigError(
            f"listen.port: cannot listen on {listen.host}:{listen.port} ({error.strerror}); "
            "stop what listens there, or choose another port"
        ) from None


def sibling(first: socket.socket) -> socket.socket:
    """Return one more socket on the port of a shared one; the kernel spreads connections."""
    host, port = first.getsockname()[:2]
    return _bound(host, port, shared=True)


def loopback_socket() -> socket.socket:
    """Return a socket on a free port that only this machine reaches."""
    return _bound("127.0.0.1", 0, shared=False)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound
