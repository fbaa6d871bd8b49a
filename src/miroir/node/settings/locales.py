"""
The languages that Meilisearch knows, by their ISO 639-1 and 639-3 codes.

Order matters: it is the order in which an error lists them.
"""

from typing import Final

_PAIRS: Final = (
    "af:afr ak:aka am:amh ar:ara az:aze be:bel bn:ben bg:bul ca:cat cs:ces da:dan de:deu el:ell "
    "en:eng eo:epo et:est fi:fin fr:fra gu:guj he:heb hi:hin hr:hrv hu:hun hy:hye id:ind it:ita "
    "jv:jav ja:jpn kn:kan ka:kat km:khm ko:kor la:lat lv:lav lt:lit ml:mal mr:mar mk:mkd my:mya "
    "ne:nep nl:nld nb:nob or:ori pa:pan fa:pes pl:pol pt:por ro:ron ru:rus si:sin sk:slk sl:slv "
    "sn:sna es:spa sr:srp sv:swe ta:tam te:tel tl:tgl th:tha tk:tuk tr:tur uk:ukr ur:urd uz:uzb "
    "vi:vie yi:yid zh:zho zu:zul "
)
TO_ISO_639_3: Final = dict(pair.split(":") for pair in _PAIRS.split())
LOCALES: Final = (*TO_ISO_639_3, *TO_ISO_639_3.values(), "cmn")


def iso_639_3(code: str) -> str:
    """Return the three-letter code of a known locale."""
    return TO_ISO_639_3.get(code, code)
