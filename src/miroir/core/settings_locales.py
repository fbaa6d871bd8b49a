"""
Two-letter language codes and the three-letter ones that a node stores instead.

The languages that Meilisearch 1.50 knows. A code that is not here is compared as it is.
"""

from typing import Final

# fmt: off
ISO_639_3: Final[dict[str, str]] = {
    "af": "afr", "ak": "aka", "am": "amh", "ar": "ara", "az": "aze", "be": "bel", "bn": "ben",
    "bg": "bul", "ca": "cat", "cs": "ces", "da": "dan", "de": "deu", "el": "ell", "en": "eng",
    "eo": "epo", "et": "est", "fi": "fin", "fr": "fra", "gu": "guj", "he": "heb", "hi": "hin",
    "hr": "hrv", "hu": "hun", "hy": "hye", "id": "ind", "it": "ita", "jv": "jav", "ja": "jpn",
    "kn": "kan", "ka": "kat", "km": "khm", "ko": "kor", "la": "lat", "lv": "lav", "lt": "lit",
    "ml": "mal", "mr": "mar", "mk": "mkd", "my": "mya", "ne": "nep", "nl": "nld", "nb": "nob",
    "or": "ori", "pa": "pan", "fa": "pes", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus",
    "si": "sin", "sk": "slk", "sl": "slv", "sn": "sna", "es": "spa", "sr": "srp", "sv": "swe",
    "ta": "tam", "te": "tel", "tl": "tgl", "th": "tha", "tk": "tuk", "tr": "tur", "uk": "ukr",
    "ur": "urd", "uz": "uzb", "vi": "vie", "yi": "yid", "zh": "zho", "zu": "zul",
}
# fmt: on
