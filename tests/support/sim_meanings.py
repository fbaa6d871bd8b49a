"""
What every committed version means, worked out from the clients' patches alone.

The judge's own idea: the patches, applied one after the other by the rules of the engine
(`sim_engine`), to an index that began empty. No fingerprint, header or read-back of Miroir's goes
in. With several engine versions at hand, a default of one may have been made explicit on another:
then each key has to be as some engine would show it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from miroir.node.errors import ApiError
from tests.support.sim_engine import Engine, Stored, digest


class Meanings:
    """
    Versions of every index, as each engine shows them.

    Attributes:
        engines: Node -> engine that it runs now.
    """

    def __init__(self, engines: Mapping[str, Engine], later: Iterable[Engine] = ()) -> None:
        self.engines = dict(engines)
        self._kinds = {engine.version: engine for engine in (*engines.values(), *later)}
        self._wanted: dict[tuple[str, int], dict[str, Stored]] = {}
        self._fits: dict[tuple[bytes, str, int, str], bool] = {}

    def upgraded(self, node: str, version: str) -> None:
        """A node runs another engine from now on."""
        self.engines[node] = self._kinds[version]

    def learn(
        self,
        uid: str,
        version: int,
        *,
        base: int | None,
        patch: Mapping[str, Any] | None,
        former: int | None = None,
    ) -> None:
        """
        Note what a new version means.

        Args:
            uid: Index.
            version: Its number.
            base: Version that the patch applies to; None: an index that begins empty.
            patch: What was asked for, or None.
            former: The version that was to come back, or None.

        Raises:
            ApiError: An engine refuses the patch.
        """
        before = {} if base is None else self._wanted.get((uid, base), {})
        if former is not None:
            before, patch = self._wanted.get((uid, former), {}), None
        forms = {kind: before.get(kind, {}) for kind in self._kinds}
        if patch is not None:
            forms = {kind: self._patched(kind, forms[kind], patch) for kind in forms}
        self._wanted[uid, version] = forms
        self._fits = {key: fits for key, fits in self._fits.items() if key[1] != uid}

    def leads_nowhere(
        self, uid: str, version: int, patch: Mapping[str, Any], former: int | None
    ) -> bool:
        """Whether some engine would show nothing new."""
        before = self._wanted.get((uid, version), {})
        after = self._wanted.get((uid, former), {}) if former is not None else {}
        for kind, engine in self._kinds.items():
            base = before.get(kind, {})
            known = {k: v for k, v in patch.items() if k in engine.keys}
            wanted = self._patched(kind, base, known) if former is None else after.get(kind, {})
            if engine.truth(wanted) == engine.truth(base):
                return True
        return False

    def refusal(self, patch: Mapping[str, Any]) -> ApiError | None:
        """Return why an engine refuses a patch, if one does."""
        try:
            for kind in self._kinds:
                self._patched(kind, {}, patch)
        except ApiError as error:
            return error
        return None

    def _patched(self, kind: str, base: Stored, patch: Mapping[str, Any]) -> Stored:
        engine = self._kinds[kind]
        # To reset what an engine does not know is nothing to it.
        known = {
            k: v
            for k, v in patch.items()
            if k not in engine.lacks and (v is not None or k in engine.keys)
        }
        return engine.apply(base, [engine.parse(known)])

    def shows(
        self, node: str, uid: str, version: int, truth: bytes | None, *, engine: str = ""
    ) -> bool:
        """Whether what a node serves, or served with another engine, is what a version means."""
        if truth is None:
            return False
        engine = engine or self.engines[node].version
        key = (truth, uid, version, engine)
        if key not in self._fits:
            self._fits[key] = self._compare(self._kinds[engine], uid, version, truth)
        return self._fits[key]

    def _compare(self, engine: Engine, uid: str, version: int, truth: bytes) -> bool:
        wanted = self._wanted.get((uid, version))
        if wanted is None:
            return False
        own = engine.truth(wanted[engine.version])
        if digest(own) == truth:
            return True
        if len(self._kinds) == 1:
            return False
        truths = [kind.truth(wanted[kind.version]) for kind in self._kinds.values()]
        seen: dict[str, Any] = orjson.loads(truth)
        return all(any(value == t.get(key, own) for t in truths) for key, value in seen.items())

    def shows_but_for_secrets(
        self, node: str, uid: str, version: int, truth: bytes | None
    ) -> bool:
        """Whether all that can be seen is right, under another key with an equal mask perhaps."""
        wanted = self._wanted.get((uid, version))
        if wanted is None or truth is None:
            return False
        own, seen = self._form(node, wanted), orjson.loads(truth)
        hidden = "the secrets"
        return digest({**own, hidden: None}) == digest({**seen, hidden: None})

    def contrast(self, node: str, uid: str, version: int, truth: bytes | None) -> str:
        """Return in words what is not as the version has it."""
        if truth is None:
            return "it does not have the index"
        wanted = self._wanted.get((uid, version))
        if wanted is None:
            return "there is no such version"
        own, seen = self._form(node, wanted), orjson.loads(truth)
        keys = [key for key in seen if seen[key] != own.get(key)]
        return "; ".join(f"{k}: {seen[k]!r} instead of {own.get(k)!r}" for k in keys)

    def _form(self, node: str, wanted: Mapping[str, Stored]) -> dict[str, Any]:
        engine = self.engines[node]
        return engine.truth(wanted[engine.version])
