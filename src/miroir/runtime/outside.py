"""The world as the services get it; simulations bring one of their own."""

from dataclasses import dataclass, field

from miroir.adapters.receivers_http import ReceiversHttp
from miroir.ports.clock import Chance, Clock
from miroir.ports.node import NodeControl, NodeTransport
from miroir.ports.receiver import Receivers
from miroir.ports.store import Store
from miroir.telemetry import KnownSecrets, Metrics


@dataclass(frozen=True)
class Outside:
    """
    What the services need from the world; simulations bring their own.

    Attributes:
        secrets: What nobody may hear; grows with the keys and settings that become known.
    """

    control: NodeControl
    transport: NodeTransport
    store: Store
    clock: Clock
    chance: Chance
    metrics: Metrics
    receivers: Receivers = field(default_factory=ReceiversHttp)
    secrets: KnownSecrets = field(default_factory=KnownSecrets)
