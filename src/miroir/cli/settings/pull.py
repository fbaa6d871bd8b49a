"""
`miroir settings pull`: the settings in force as files, ready for git.

A file that is there already keeps its comments, its order, its references, and its choice of
keys; only values that differ are replaced. A new file names every setting that the server shows:
those at their default as null, so that what is managed is said in full.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.connect import URL, Key, Url, connect
from miroir.cli.settings.files import dump, parse, quoted
from miroir.cli.settings.target import Target
from miroir.core import settings as rules
from miroir.core.engine_keys import at_default
from miroir.core.secret_places import is_reference, places, referenced
from miroir.core.settings_document import API_VERSION

_SECRETS: Final = "secrets by reference; while a variable is not set, what is in force stays"


def pull(
    indexes: Annotated[
        list[str] | None, typer.Argument(metavar="[INDEX]...", help="Default: all indexes.")
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-O", help="A folder, one file for each index; or a .yaml file for all."
        ),
    ] = Path("settings"),
    url: Url = URL,
    key: Key = None,
    only_set: Annotated[
        bool, typer.Option("--only-set", help="Leave out what is at its default.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="Own all keys: `apply` resets what a file does not name."),
    ] = False,
) -> None:
    """
    Write the settings in force to YAML files.

    Secrets are written as references (`apiKey: env:...`), never as values. Files that are there
    are updated: comments, order and references stay.

    For example:

        miroir settings pull --out settings/

        miroir settings pull movies books --out settings.yaml --url http://search:7700
    """
    target = connect(url, key)
    known = target.indexes()
    wanted = tuple(indexes or known)
    missing = [name for name in wanted if name not in known]
    if missing:
        have = ", ".join(known) or "none"
        raise UsageFault(f"there is no index {', '.join(missing)}; there are: {have}")
    if not wanted:
        raise CliFault(f"{target.url} has no index yet; write a file by hand and `apply` it")
    maker = Maker(target, only_set=only_set, full=full)
    if out.suffix in {".yaml", ".yml"}:
        _write_all(maker, wanted, out)
    else:
        for name in wanted:
            _write(out / f"{name}.yaml", maker.document(name, _former(out / f"{name}.yaml")))
    typer.echo(f"next: miroir settings plan {out} --url {target.url}")


class Maker:
    """Makes or updates the mapping of one index."""

    def __init__(self, target: Target, *, only_set: bool, full: bool) -> None:
        self._target = target
        self._only_set = only_set
        self._ownership = "full" if full else "partial"
        engines = [node.engine for node in target.nodes() if node.engine]
        self._engine = min(engines, default=None)

    def document(self, index: str, former: Any, *, named: bool = True) -> Any:
        """Return what to write: `former` updated where there is one."""
        live = self._target.live(index).settings or {}
        if isinstance(former, CommentedMap) and isinstance(former.get("settings"), CommentedMap):
            self._update(former, live, index)
            return former
        made = CommentedMap()
        if named:
            made["apiVersion"] = API_VERSION
            made["index"] = index
        made["ownership"] = self._ownership
        made["settings"] = self._settings(live, index)
        return made

    def _settings(self, live: Mapping[str, Any], index: str) -> CommentedMap:
        written = referenced(live, index)
        at_default = [key for key in written if self._at_default(key, live)]
        settings = CommentedMap()
        for key in rules.BY_KEY:  # Everybody's files have one order.
            if key in written and key not in at_default:
                settings[key] = quoted(written[key])
        for key in sorted(set(written) - set(rules.BY_KEY) - set(at_default)):
            settings[key] = quoted(written[key])
        if not self._only_set:
            for key in rules.BY_KEY:
                if key in at_default:
                    settings[key] = None
            if at_default:
                first = next(key for key in rules.BY_KEY if key in at_default)
                settings.yaml_set_comment_before_after_key(
                    first, before="null: at the engine's default, and kept there", indent=2
                )
        if rules.EMBEDDERS in settings and any(places(live)):
            settings.yaml_set_comment_before_after_key(rules.EMBEDDERS, before=_SECRETS, indent=2)
        return settings

    def _at_default(self, key: str, live: Mapping[str, Any]) -> bool:
        # Of `chat` null may lose a template, so what is shown is written.
        return key != "chat" and at_default(key, live[key], self._engine)

    def _update(self, former: CommentedMap, live: Mapping[str, Any], index: str) -> None:
        settings = former["settings"]
        for key, value in referenced(live, index).items():
            if key not in settings:
                if former.get("ownership") == "full" and not self._at_default(key, live):
                    settings[key] = quoted(value)
            elif settings[key] is None:
                if not self._at_default(key, live):
                    settings[key] = quoted(value)
            elif rules.differences({key: settings[key]}, {key: value}):
                _replace(settings, key, value)


def _replace(where: CommentedMap, name: str, value: Any) -> None:
    """Put a value where another was, as deep inside as possible, so that comments stay."""
    old = where.get(name)
    if isinstance(old, CommentedMap) and isinstance(value, Mapping):
        for gone in [inner for inner in old if inner not in value]:
            del old[gone]
        for inner, new in value.items():
            _replace(old, inner, new)
    elif is_reference(old) and is_reference(value):
        return  # Somebody has named the place of this secret.
    elif old != value and not (isinstance(old, CommentedSeq) and _edited(old, value)):
        where[name] = quoted(value)


def _edited(old: CommentedSeq, new: Any) -> bool:
    """Take out and put in single items, so that comments stay; not if items change places."""
    plain = isinstance(new, list) and all(isinstance(item, str) for item in new)
    if not plain or len(set(new)) != len(new) or any(not isinstance(item, str) for item in old):
        return False
    if [item for item in old if item in new] != [item for item in new if item in old]:
        return False
    for position in reversed(range(len(old))):
        if old[position] not in new:
            del old[position]
    for position, item in enumerate(new):
        if position >= len(old) or old[position] != item:
            old.insert(position, quoted(item))
    return bool(old == new)


def _write_all(maker: Maker, names: tuple[str, ...], path: Path) -> None:
    former = _former(path)
    if not isinstance(former, CommentedMap) or not isinstance(former.get("indexes"), CommentedMap):
        former = CommentedMap()
        former["apiVersion"] = API_VERSION
        former["indexes"] = CommentedMap()
    indexes = former["indexes"]
    for name in names:
        indexes[name] = maker.document(name, indexes.get(name), named=False)
    _write(path, former)


def _former(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return parse(path.read_text(encoding="utf-8"))
    except Exception as error:
        said = str(error).splitlines()[0]
        raise CliFault(f"{path} is there and cannot be read ({said}); it is left alone") from error


def _write(path: Path, document: Any) -> None:
    text = dump(document)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before != text:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliFault(f"{path} cannot be written: {error.strerror}") from error
    typer.echo(f"{'same   ' if before == text else 'wrote  '} {path}")
