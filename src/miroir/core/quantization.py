"""
Binary quantization of vectors goes one way: what an engine refuses because of what an index was.

A probe begins from nothing and cannot know that. The node's task would fail on every node; and to
remove the embedder and make it anew, which an engine takes, would lose the vectors that clients
have sent. So a change that asks for it ends with the engine's own error, and no node is touched
(source: Meilisearch 1.50, milli/src/vector/settings.rs; facts 1.4).
"""

from collections.abc import Mapping
from typing import Any

from miroir.core.settings_normal import EMBEDDERS, Settings
from miroir.core.topology import IndexUid


def undoes_quantization(base: Settings, target: Settings) -> str | None:
    """Return the first embedder that is quantized in `base` and stays, but not so, or None."""
    wanted = _embedders(target)
    for name, embedder in sorted(_embedders(base).items()):
        if name in wanted and is_quantized(embedder) and not is_quantized(wanted[name]):
            return name
    return None


def is_quantized(embedder: Any) -> bool:
    """Whether one embedder keeps only the signs of its vectors."""
    return isinstance(embedder, Mapping) and bool(embedder.get("binaryQuantized"))


def refusal(index_uid: IndexUid, name: str) -> dict[str, Any]:
    """Return the error that the task of a node would have, in its words."""
    return {
        "message": (
            f"Index `{index_uid}`: `.embedders.{name}.binaryQuantized`: Cannot disable the binary "
            "quantization.\n - Note: Binary quantization is a lossy operation that cannot be "
            "reverted.\n - Hint: Add a new embedder that is non-quantized and regenerate the "
            "vectors."
        ),
        "code": "invalid_settings_embedders",
        "type": "invalid_request",
        "link": "https://docs.meilisearch.com/errors#invalid_settings_embedders",
    }


def _embedders(settings: Settings) -> Mapping[str, Any]:
    embedders = settings.get(EMBEDDERS)
    if not isinstance(embedders, Mapping):
        return {}
    return {name: value for name, value in embedders.items() if value is not None}
