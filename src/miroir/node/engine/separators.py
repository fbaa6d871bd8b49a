"""
Which characters separate words, and which of them separate sentences.

Stated as Unicode categories with the exceptions named, and as code point ranges for the hard
separators (eight positions apart instead of one). Facts of Meilisearch 1.50's tokenizer, charabia
0.9.9, as of its own tables; the settings `separatorTokens` and `nonSeparatorTokens` change them.

Data only: how text is cut with them is `tokenize.py`.
"""

import unicodedata
from typing import Final

_CATEGORIES: Final = frozenset({"Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Zp", "Zs"})
_ALSO: Final = frozenset("\0\t\n\r+`±×÷\u200c")
# Mathematical operators separate, except two that the table leaves out.
_OPERATORS: Final = frozenset(chr(c) for c in range(0x2212, 0x2300) if c not in (0x2226, 0x228E))
# Of these categories, yet word characters: no-break spaces, and what decomposes to something else.
_NOT: Final = frozenset(
    map(
        chr,
        (
            160,
            894,
            903,
            1565,
            1643,
            1644,
            3852,
            7037,
            7038,
            8192,
            8193,
            8209,
            8239,
            8287,
            9001,
            9002,
            *range(11859, 11870),
            *range(69510, 69514),
            71353,
            77809,
            77810,
        ),
    )
)

_HARD_RANGES: Final = """
0 21 3b 3f a1 a7 b4 b6 bf 55c-55e 589 5c3 60c 61b 61f 6d4 700-709 7f7-7f9 830-835 838-83e 85e
964-965 df4 e5a-e5b f04-f0a f0d-f12 f14 fd0-fd4 104a-104b 10fb 1362-1368 169b-169c 16eb-16ed
1735-1736 17d4-17d6 17d8 17da 1800-1806 1808-1809 1944-1945 1a1f 1aa8-1aad 1b5a-1b60 1bfc-1bff
1c3b-1c3f 1c7e-1c7f 1cc0-1cc7 2024-2026 203b-203d 2047-2049 204f 2056 205a 2cf9-2cfc 2cfe 2e18
2e2e 2e41 3001-3002 a4fe-a4ff a60d-a60f a6f2-a6f7 a876-a877 a8ce-a8cf a92f a95f a9c3-a9cd
aa5c-aa5f aadf aaf0-aaf1 abeb fe10-fe16 fe19 fe30 fe45 fe50-fe52 fe54-fe57 ff01 ff0c ff0e
ff1a-ff1b ff1f ff61 ff64 10857 10a50-10a58 10af0-10af5 10b3a-10b3f 10b99-10b9c 10f55-10f59
11047-1104d 110be-110c1 11140-11143 11175 111c5-111c6 111cd 111de-111df 11238-11239 1123b-1123c
112a9 1144b-1144d 1145a 115c2-115c3 115c9-115d7 11641-11642 11660-1166c 1173c-1173e 11944 11946
11a3f-11a46 11a9a-11a9c 11a9e-11aa2 11c41-11c42 11c70-11c71 11ef7-11ef8 11fff 12471-12474
16a6e-16a6f 16af5 16b37-16b39 16b44 16e97-16e9a 1bc9f 1da87-1da8a 1e95e-1e95f
"""

_COMPOSED: Final = frozenset({". ", ", ", "។ល។"})


def _separators() -> frozenset[str]:
    every = map(chr, range(0x20000))  # none lies beyond
    ruled = {c for c in every if unicodedata.category(c) in _CATEGORIES}
    return frozenset((ruled - _NOT) | _ALSO | _OPERATORS | _COMPOSED)


def _hard() -> frozenset[str]:
    found: set[str] = set()
    for item in _HARD_RANGES.split():
        first, _, last = item.partition("-")
        found.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(found | _COMPOSED)


SEPARATORS: Final = _separators()
HARD_SEPARATORS: Final = _hard()
