"""`miroir settings edit`: the settings of one index in $EDITOR, then plan, question, apply."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import typer

from miroir.cli.faults import CliFault, UsageFault
from miroir.cli.settings.apply import Reason, Timeout, Yes, run
from miroir.cli.settings.applying import Wishes
from miroir.cli.settings.connect import URL, ApiKey, HistoryFile, Key, Url, caller, connect
from miroir.cli.settings.durations import duration_of
from miroir.cli.settings.files import dump
from miroir.cli.settings.output import Outlet, Output
from miroir.cli.settings.planning import load_sound, plan_all
from miroir.cli.settings.pull import Maker
from miroir.cli.settings.versions import Index

_HEAD: Final = """\
# The settings of {index} at {url}.
# Change what shall change, save, and close; you will see the plan before anything is sent.
# null is the engine's default; a line that is taken out is left alone. Secrets are references.
"""


def edit(  # noqa: PLR0913, PLR0917 - its options
    index: Index,
    url: Url = URL,
    key: Key = None,
    api_key: ApiKey = None,
    history: HistoryFile = None,
    yes: Yes = False,
    timeout: Timeout = "1h",
    message: Reason = "",
    output: Output = "table",
) -> None:
    """
    Edit the settings of an index in $VISUAL or $EDITOR, see the plan, apply it.

    A file that cannot be used is kept, and named, so that nothing typed is lost.

    For example:

        EDITOR=nano miroir settings edit movies -m "year can be filtered"
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise UsageFault("set EDITOR to your editor, or use `miroir settings pull` and `apply`")
    target = connect(url, key, api_key, history)
    if target.live(index).settings is None:
        have = ", ".join(target.indexes()) or "none"
        raise UsageFault(f"there is no index `{index}`; there are: {have}")
    document = Maker(target, only_set=False, full=False).document(index, None)
    text = _HEAD.format(index=index, url=target.url) + dump(document)
    path = _edited(editor, index, text)
    if path.read_text(encoding="utf-8") == text:
        path.unlink()
        typer.echo("nothing was changed")
        return
    try:
        declared = load_sound(path, None, ()).declared
        wishes = Wishes(timeout_s=duration_of(timeout, "--timeout"), by=caller(), reason=message)
        run(target, plan_all(target, declared), wishes, Outlet(output), yes=yes)
    except typer.Exit as ended:
        if not ended.exit_code:
            path.unlink()
        raise
    except CliFault as fault:
        again = f"miroir settings apply {path} --url {target.url}"
        raise CliFault(f"{fault}\nyour text is kept: {again}") from fault


def _edited(editor: str, index: str, text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix=f"miroir-{index}-", suffix=".yaml", delete=False
    ) as file:
        file.write(text)
    path = Path(file.name)
    try:
        ended = subprocess.run([*shlex.split(editor), str(path)], check=False)  # noqa: S603
    except OSError as error:
        path.unlink()
        raise UsageFault(f"EDITOR `{editor}` cannot be started: {error.strerror}") from error
    if ended.returncode:
        path.unlink()
        raise CliFault(f"{editor} ended with {ended.returncode}; nothing was changed")
    return path
