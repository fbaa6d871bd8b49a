"""
What Miroir is compared with: a scatter-gather in Go's standard library, and nginx.

Both are started here, on one core like Miroir. Where one cannot be had `Unavailable` says why; a
benchmark then prints that line, and no figure.
"""

import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.proxy import Proxy, on_one_core
from miroir.cli.process import free_ports

_SOURCE: Final = Path(__file__).parent / "go"
_START_S: Final = 30.0
_NGINX: Final = """\
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    upstream node {{ server 127.0.0.1:{node}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://node;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 16 16k;
        }}
    }}
}}
"""


class Unavailable(Exception):
    """This machine has not what is needed; the text says what."""


@contextmanager
def go(stub_ports: Sequence[int], key: str) -> Iterator[Proxy]:
    """
    Run the Go program, built anew from its source; nothing is downloaded.

    Raises:
        Unavailable: There is no Go here, or it cannot build.
    """
    compiler = shutil.which("go")
    if compiler is None:
        raise Unavailable("go is not installed")
    with tempfile.TemporaryDirectory(prefix="miroir-bench-go-") as name:
        program = Path(name) / "scatter"
        environ = os.environ | {"GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
        command = [compiler, "build", "-o", str(program), "."]
        built = subprocess.run(
            command, cwd=_SOURCE, env=environ, capture_output=True, text=True, check=False
        )
        if built.returncode:
            raise Unavailable(f"go build failed: {built.stderr.strip()[-300:]}")
        port = free_ports(1)[0]
        nodes = ",".join(f"http://127.0.0.1:{each}" for each in stub_ports)
        argv = [str(program), "-listen", f"127.0.0.1:{port}", "-nodes", nodes, "-key", key]
        # One core, one thread that runs Go: what it would find out by itself on such a machine.
        with _running(argv, port, os.environ | {"GOMAXPROCS": "1"}) as process:
            yield Proxy(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def nginx(stub_port: int) -> Iterator[Proxy]:
    """
    Run nginx in a folder of its own, passing each request to one stub.

    Raises:
        Unavailable: There is no nginx here, or it does not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("nginx is not installed")
    with tempfile.TemporaryDirectory(prefix="miroir-bench-nginx-") as name:
        port = free_ports(1)[0]
        folder = Path(name)
        (folder / "nginx.conf").write_text(_NGINX.format(node=stub_port, port=port))
        argv = [program, "-p", name, "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]
        with _running(argv, port, dict(os.environ)) as process:
            yield Proxy(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def _running(
    argv: Sequence[str], port: int, environ: dict[str, str]
) -> Iterator["subprocess.Popen[bytes]"]:
    with on_one_core():
        process = subprocess.Popen(argv, env=environ, stderr=subprocess.DEVNULL)
    try:
        _wait(process, Path(argv[0]).name, port)
        yield process
    finally:
        process.terminate()
        process.wait(_START_S)


def _wait(process: "subprocess.Popen[bytes]", name: str, port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise Unavailable(f"{name} did not start")
