"""
Content codings of HTTP bodies: gzip, deflate and br.

    undone    a coded body -> the body, bounded            (requests; answers of nodes)
    chosen    Accept-Encoding -> the coding for an answer
    coded     a body -> the coded body

Pure: bytes in, bytes out. Source: RFC 9110 sections 8.4 and 12.5.3; where it leaves a choice,
what Meilisearch 1.50 (actix) does.
"""

from miroir.codings.accepted import chosen
from miroir.codings.streams import CodingBroken, CodingTooLarge, coded, known, undone

__all__ = ["CodingBroken", "CodingTooLarge", "chosen", "coded", "known", "undone"]
