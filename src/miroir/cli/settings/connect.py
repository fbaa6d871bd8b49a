"""
Which server a command speaks to, and with which key; the options that all of them share.

Keys come by reference (`env:NAME`, `file:PATH`), as arguments can be read by every user of the
machine; without one, the usual variables are tried. Whether a URL is Miroir or a plain Meilisearch
is asked of the server itself.
"""

import getpass
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from miroir.cli.admin_client import AdminClient, NoAnswer
from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.journal import Journal
from miroir.cli.settings.plain import PlainTarget
from miroir.cli.settings.proxy import ProxyTarget
from miroir.cli.settings.target import Target
from miroir.core.secret_places import is_reference

_KEYS: Final = ("MIROIR_KEY", "MIROIR_ADMIN_KEY", "MIROIR_MASTER_KEY", "MEILI_MASTER_KEY")
_PLAIN_KEYS: Final = ("MIROIR_KEY", "MEILI_MASTER_KEY", "MIROIR_MASTER_KEY")
_API_KEYS: Final = ("MIROIR_API_KEY", "MIROIR_MASTER_KEY", "MEILI_MASTER_KEY")

Url = Annotated[
    str,
    typer.Option(
        envvar="MIROIR_URL", help="Miroir, or one plain Meilisearch.", rich_help_panel="Server"
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="`env:NAME` or `file:PATH`; a plain Meilisearch takes an API key, Miroir its admin "
        f"key. Default: {', '.join(_KEYS)}, the first that is set.",
        show_default=False,
        rich_help_panel="Server",
    ),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="Miroir only: opens its public side, for numbers of documents. Default: "
        f"{', '.join(_API_KEYS)}, else the admin key.",
        show_default=False,
        rich_help_panel="Server",
    ),
]
HistoryFile = Annotated[
    Path | None,
    typer.Option(
        "--history",
        metavar="FILE",
        help="Plain Meilisearch only: the local history.",
        rich_help_panel="Server",
    ),
]
URL: Final = "http://127.0.0.1:7700"


def connect(
    url: str, key: str | None = None, api_key: str | None = None, history: Path | None = None
) -> Target:
    """
    Return the server at this address.

    Raises:
        NoAnswer: There is none.
        CliFault: It does not take the key.
    """
    secret = _key(key, _KEYS, "--key")
    client = AdminClient(url, secret, timeout_s=30.0)
    try:
        answer = client.request("GET", "/_miroir/topology")
    except NoAnswer as error:
        raise NoAnswer(f"{error}; is it up? another address: --url URL, or MIROIR_URL") from error
    if answer.status == 200:
        if history is not None:
            raise UsageFault(
                "--history is for a plain Meilisearch; Miroir keeps its own: leave it out"
            )
        public = _key(api_key, _API_KEYS, "--api-key") or secret
        return ProxyTarget(client, AdminClient(url, public, timeout_s=30.0))
    if answer.status in {401, 403}:
        raise CliFault(
            f"{client.url} is a Miroir and does not take this key; give its admin key: "
            "--key env:MIROIR_ADMIN_KEY"
        )
    client = AdminClient(url, _key(key, _PLAIN_KEYS, "--key"), timeout_s=30.0)
    _check_plain(client)
    return PlainTarget(client, Journal(history) if history else None)


def _check_plain(client: AdminClient) -> None:
    if client.request("GET", "/health").status != 200:
        raise CliFault(f"{client.url} is neither Miroir nor Meilisearch")
    answer = client.request("GET", "/indexes?limit=1")
    code = answer.body.get("code") if isinstance(answer.body, dict) else None
    if answer.status == 401:
        raise CliFault(f"{client.url} wants a key; give one: --key env:MEILI_MASTER_KEY")
    if code == "invalid_api_key" and client.request("GET", "/version").status == 403:
        # A key may be good for one index alone; then other requests tell, by their own errors.
        client_says = "if it is right, it needs settings.*, tasks.get, indexes.get and version"
        raise CliFault(f"{client.url} does not take this key for what is needed; {client_says}")


def look_up(reference: str) -> str | None:
    """Return what `env:NAME` or `file:PATH` stands for, None if that is not there or empty."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        return os.environ.get(name) or None
    try:
        return Path(name).expanduser().read_text(encoding="utf-8").strip() or None
    except OSError:
        return None  # Said by whoever needs it, with the reference.
    except UnicodeDecodeError:
        raise UsageFault(f"{reference}: this is no text file") from None


def caller() -> str:
    """Return who asks, for the history."""
    try:
        return os.environ.get("MIROIR_BY") or getpass.getuser()
    except (KeyError, OSError):
        return "cli"  # A container without users.


def _key(given: str | None, names: tuple[str, ...], option: str) -> str | None:
    if given is None:
        return next((os.environ[name] for name in names if os.environ.get(name)), None)
    if not is_reference(given):
        raise UsageFault(
            f"{option} takes no key but where to find one, as arguments can be read by every "
            "user: env:NAME or file:PATH"
        )
    found = look_up(given)
    if found is None:
        raise UsageFault(f"{option} {given}: nothing is there")
    return found
