"""
Configuration: a YAML file and the `MIROIR_*` environment in, one frozen checked value out.

    source.py     reads file and environment, remembers where each value came from
    secret.py     a secret value that cannot be printed; resolves `{env: NAME}` and `{file: PATH}`
    model.py      the sections, their defaults, limits and meaning (what the reference is made of)
    grid.py       what must hold between the keys of `topology`
    handover.py   a checked configuration for another process of the same server
    faults.py     pydantic's errors in our words: place, key, remedy
    reference.py  docs/reference/config.md

Rules: the environment wins over the file; an unknown key is a fault; all faults are reported at
once, as one `ConfigError`; a secret is never written in the file. Reading happens once, at start:
nothing here watches, reloads, or is asked again while the program runs.
"""

from miroir.config.handover import handed_over, received
from miroir.config.load import load_config
from miroir.config.model import (
    Config,
    HealthConfig,
    LimitsConfig,
    ListenConfig,
    LoggingConfig,
    MetricsConfig,
    NodeConfig,
    SettingsBroadcastConfig,
    SettingsDriftCheckConfig,
    TopologyConfig,
)
from miroir.config.secret import Secret

__all__ = [
    "Config",
    "HealthConfig",
    "LimitsConfig",
    "ListenConfig",
    "LoggingConfig",
    "MetricsConfig",
    "NodeConfig",
    "Secret",
    "SettingsBroadcastConfig",
    "SettingsDriftCheckConfig",
    "TopologyConfig",
    "handed_over",
    "load_config",
    "received",
]
