"""
What a change means on one node: how it is sent, how it is read back, what its commit makes true.

Every kind of intent is driven through one machine; a carrier is the part that differs by kind. A
carrier keeps the last read-back of each node in memory for the commit; after a crash the machine
verifies again, so that they are never missing.
"""

from miroir.services.carriers.adoption import AdoptionCarrier
from miroir.services.carriers.base import DOCUMENT_TYPES, Carrier, ReadBack, unfinished
from miroir.services.carriers.lifecycle import LifecycleCarrier
from miroir.services.carriers.settings import SettingsCarrier
from miroir.services.carriers.swap import SwapCarrier

__all__ = [
    "DOCUMENT_TYPES",
    "AdoptionCarrier",
    "Carrier",
    "LifecycleCarrier",
    "ReadBack",
    "SettingsCarrier",
    "SwapCarrier",
    "unfinished",
]
