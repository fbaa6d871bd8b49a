"""The port of a server: nobody else's, and all of its processes'."""

import socket

import pytest

from miroir.config import ListenConfig
from miroir.errors import ConfigError
from miroir.runtime.sockets import listening_socket, loopback_socket, sibling


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_that_somebody_has_is_refused_with_a_remedy(shared):
    """The kernel lets servers of one user share a port without a word: two clusters in one."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="stop what listens there, or choose another port"):
            listening_socket(ListenConfig(port=taken.getsockname()[1]), shared=shared)


def test_siblings_have_the_same_port():
    """Also where the port was the kernel's to choose."""
    with listening_socket(ListenConfig(port=0), shared=True) as first, sibling(first) as second:
        assert first.getsockname() == second.getsockname()


def test_what_only_this_machine_may_reach_is_on_loopback():
    """Between processes of one server nobody else has anything to say."""
    with loopback_socket() as private:
        assert private.getsockname()[0] == "127.0.0.1"
