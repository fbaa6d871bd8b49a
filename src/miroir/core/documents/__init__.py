"""
Document payloads: read, checked, and cut into one raw batch per shard. Never re-encoded.

    parse_payload -> find_primary_key -> check_ids -> split

What a node reports at once (400, 415) is raised as an error of the tree; what a node reports as a
failed task is returned as a `PayloadFault`. A payload is accepted whole or refused whole.
"""

from miroir.core.documents.batches import Batch, delete_ids, split, split_ids
from miroir.core.documents.payload import CsvPayload, JsonPayload, Payload, parse_payload
from miroir.core.documents.primary_key import PayloadFault, check_ids, find_primary_key

__all__ = [
    "Batch",
    "CsvPayload",
    "JsonPayload",
    "Payload",
    "PayloadFault",
    "check_ids",
    "delete_ids",
    "find_primary_key",
    "parse_payload",
    "split",
    "split_ids",
]
