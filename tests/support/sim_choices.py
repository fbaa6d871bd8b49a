"""
What an operator may have chosen for a simulated cluster: its grid and its configuration.
"""

import random
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from miroir.config import Config
from miroir.config.secret import Secret
from tests.support.sim_node_commons import MASTER_KEY

SWEEP_S: Final = 9.0
"""Interval of the sweep in every simulated cluster."""
FEED_S: Final = 2.0
"""Interval of the feed."""
KEY_UIDS: Final = tuple(f"{n:08d}-aaaa-4bbb-8ccc-0123456789ab" for n in range(3))
"""Uids of keys that clients choose again and again, also after a deletion."""
_GRIDS: Final = (
    (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (1, 2), (2, 2), (3, 2), (2, 2), (2, 3),
)  # fmt: skip


def uid_by(chance: random.Random) -> str:
    """Return a uid that comes from the seed."""
    return str(UUID(int=chance.getrandbits(128), version=4))


@dataclass(frozen=True)
class Choices:
    """
    What an operator may have chosen.

    Attributes:
        sequential: One node after the other, and every node before the commit.
        waves: Whether one half may be changed while the other serves.
        when_no_cover: `available` or `consistent`.
    """

    shards: int
    groups: int
    sequential: bool
    waves: bool
    when_no_cover: str

    @classmethod
    def by(cls, chance: random.Random) -> "Choices":
        """Choose."""
        shards, groups = _GRIDS[chance.randrange(len(_GRIDS))]
        return cls(
            shards=shards,
            groups=groups,
            sequential=chance.random() < 0.12,
            waves=chance.random() < 0.88,
            when_no_cover="consistent" if chance.random() < 0.12 else "available",
        )

    @property
    def in_halves(self) -> bool:
        """Whether a change leaves a half that serves."""
        return self.groups > 1 and self.waves and not self.sequential

    @property
    def names(self) -> list[str]:
        """Names of the nodes."""
        return [f"n{i}" for i in range(self.shards * self.groups)]

    def config(self) -> Config:
        """Return the configuration of the cluster."""
        nodes = [
            {
                "name": name,
                "url": f"http://{name}:7700",
                "shard": i % self.shards,
                "replica_group": i // self.shards,
            }
            for i, name in enumerate(self.names)
        ]
        broadcast = {
            "strategy": "sequential" if self.sequential else "two_phase",
            "waves": "auto" if self.waves else "off",
            "when_no_cover": self.when_no_cover,
            "probe_wait_s": 1.0,
            "drain_max_s": 5.0,
            "verify_timeout_s": 20.0,
            "node_silence_s": 15.0,
        }
        topology = {"shards": self.shards, "replica_groups": self.groups, "nodes": nodes}
        return Config.model_validate(
            {
                "master_key": Secret(MASTER_KEY),
                "topology": topology,
                "settings_broadcast": broadcast,
                "settings_drift_check": {"interval_s": SWEEP_S, "feed_interval_s": FEED_S},
                "health": {"interval_s": 3.0},
            }
        )
