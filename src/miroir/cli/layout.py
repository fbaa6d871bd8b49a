"""
What a local cluster is made of, and how it lies in its data folder.

    cluster.json     shape, kind of node, ports: what a restart goes on from
    master.key       mode 600, as is admin.key
    miroir.yaml      made anew at each start
    miroir/          Miroir's own store
    n0/ n1/ ...      one folder for each node
    logs/            one file for each process

A folder of another shape or kind is refused, never converted: its documents lie where the shape
says. One cluster at a time: the folder is locked while it runs.
"""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from ruamel.yaml import YAML

from miroir.cli.faults import UsageFault
from miroir.cli.process import free_ports, port_is_free
from miroir.config.secret import Secret

_FORMAT: Final = 1


class LayoutFault(UsageFault):
    """The cluster cannot be set up so; the message says why and what to do."""


@dataclass(frozen=True)
class Engine:
    """Which program the nodes run: the embedded node, or a Meilisearch binary at `path`."""

    kind: Literal["embedded", "meilisearch"]
    path: str = ""

    def __str__(self) -> str:
        if self.kind == "embedded":
            return (
                "embedded nodes (Miroir's own small Meilisearch; for trying out, not production)"
            )
        return f"Meilisearch ({self.path})"


@dataclass(frozen=True)
class Shape:
    """The grid; nodes are named n0, n1, ... group by group."""

    shards: int
    replica_groups: int

    def __str__(self) -> str:
        return f"{self.shards} x {self.replica_groups} (shards x replica groups)"

    @property
    def names(self) -> tuple[str, ...]:
        """Every node."""
        return tuple(f"n{position}" for position in range(self.shards * self.replica_groups))


@dataclass(frozen=True)
class Layout:
    """A cluster laid out in its folder, ready to start."""

    folder: Path
    shape: Shape
    engine: Engine
    ports: Mapping[str, int]
    master_key: Secret
    admin_key: Secret
    lock: IO[str]

    @property
    def config_file(self) -> Path:
        """What `miroir serve` is started with."""
        return self.folder / "miroir.yaml"


def find_engine(environ: Mapping[str, str], *, embedded: bool = False) -> Engine:
    """
    Return a real Meilisearch when there is one (MIROIR_MEILISEARCH_BIN, then PATH).

    Raises:
        LayoutFault: MIROIR_MEILISEARCH_BIN names no program.
    """
    if embedded:
        return Engine("embedded")
    named = environ.get("MIROIR_MEILISEARCH_BIN", "")
    found = shutil.which(named or "meilisearch", path=environ.get("PATH"))
    if named and not found:
        remedy = "correct it, or unset it to run embedded nodes"
        raise LayoutFault(f"MIROIR_MEILISEARCH_BIN: `{named}` is no program; {remedy}")
    return Engine("meilisearch", str(Path(found).resolve())) if found else Engine("embedded")


def lay_out(
    folder: Path,
    shape: Shape,
    engine: Engine,
    *,
    port: int = 0,
    master_key: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Layout:
    """
    Make or find the cluster in `folder`, and write its configuration.

    Args:
        folder: Made if absent.
        shape: Must be that of the folder, if it has one.
        engine: Likewise its kind.
        port: Miroir's; 0 takes the one of the last time, or any that is free.
        master_key: Of all nodes; by default made at random, and kept.
        settings: Further keys of miroir.yaml, e.g. `{"settings_drift_check": {...}}`.

    Raises:
        LayoutFault: Another cluster runs or lies there, the port is taken, the key is another.
    """
    folder = folder.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LayoutFault(f"{folder}: {error.strerror}; choose another --data-dir") from error
    lock = _lock(folder)
    try:
        before = _read(folder, shape, engine)
        layout = Layout(
            folder,
            shape,
            engine,
            _ports(shape, port, before.get("ports", {})),
            _key(folder / "master.key", master_key),
            _key(folder / "admin.key", None),
            lock,
        )
    except BaseException:
        lock.close()
        raise
    _write(layout, settings or {})
    return layout


def _lock(folder: Path) -> IO[str]:
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        remedy = "stop it, or choose another --data-dir"
        raise LayoutFault(f"{folder}: another cluster runs on this folder; {remedy}") from error
    return lock


def _read(folder: Path, shape: Shape, engine: Engine) -> dict[str, Any]:
    path = folder / "cluster.json"
    if not path.exists():
        if any(entry.name != "lock" for entry in folder.iterdir()):
            raise LayoutFault(f"{folder}: holds other things; choose an empty or a new --data-dir")
        return {}
    try:
        before: dict[str, Any] = json.loads(path.read_text())
        laid_out = Shape(before["shards"], before["replica_groups"])
        kind, version = before["engine"]["kind"], before["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise LayoutFault(f"{path}: cannot be read; choose another --data-dir") from error
    if version != _FORMAT:
        raise LayoutFault(f"{path}: made by another Miroir; choose another --data-dir")
    if laid_out != shape:
        remedy = f"use --shards {laid_out.shards} --replica-groups {laid_out.replica_groups}"
        raise LayoutFault(f"{folder}: was made as {laid_out}; {remedy}, or another --data-dir")
    if kind != engine.kind:
        raise LayoutFault(
            f"{folder}: was made with {kind} nodes, but now {engine.kind} ones would run; "
            "set or unset MIROIR_MEILISEARCH_BIN, or choose another --data-dir"
        )
    return before


def _ports(shape: Shape, wanted: int, before: Mapping[str, int]) -> dict[str, int]:
    names = ("miroir", *shape.names)
    if wanted and not port_is_free(wanted):
        raise LayoutFault(f"port {wanted} is in use; stop what listens there, or use --port")
    preferred = dict(before)
    if wanted:
        preferred = {name: wanted + place for place, name in enumerate(names)} | preferred
        preferred["miroir"] = wanted
    free = iter(free_ports(len(names)))
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name in names:
        port = preferred.get(name, 0)
        usable = 0 < port < 65536 and port not in taken and port_is_free(port)
        ports[name] = port if usable else next(free)
        taken.add(ports[name])
    return ports


def _key(path: Path, given: str | None) -> Secret:
    if path.exists():
        kept = path.read_text().rstrip("\n")
        if given is not None and given != kept:
            remedy = "leave --master-key out, or choose another --data-dir"
            raise LayoutFault(f"{path}: holds another key; {remedy}")
        return Secret(kept)
    key = given if given is not None else secrets.token_urlsafe(24)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    return Secret(key)


def _write(layout: Layout, settings: Mapping[str, Any]) -> None:
    kept = {
        "format": _FORMAT,
        "shards": layout.shape.shards,
        "replica_groups": layout.shape.replica_groups,
        "engine": asdict(layout.engine),
        "ports": dict(layout.ports),
    }
    (layout.folder / "cluster.json").write_text(json.dumps(kept, indent=2) + "\n")
    config = {
        "listen": {"host": "127.0.0.1", "port": layout.ports["miroir"]},
        "data_dir": "miroir",
        "master_key": {"file": "master.key"},
        "admin_key": {"file": "admin.key"},
        "topology": {
            "shards": layout.shape.shards,
            "replica_groups": layout.shape.replica_groups,
            "nodes": [f"http://127.0.0.1:{layout.ports[name]}" for name in layout.shape.names],
        },
        **settings,
    }
    with layout.config_file.open("w") as file:
        file.write("# Made anew at each start of the cluster; changes here are lost.\n")
        yaml = YAML(typ="rt")
        yaml.default_flow_style = False
        yaml.dump(config, file)
