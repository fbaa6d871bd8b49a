"""How text becomes words; expectations are what charabia 0.9.9 was seen to do."""

import pytest

from miroir.node.engine.tokenize import Kind, Tokenizer, normalize


def words(text: str, **options: list[str]) -> list[tuple[str, bool]]:
    return [(normalize(raw), hard) for raw, hard in Tokenizer(**options).words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The quick (brown) fox", ["the", "quick", "brown", "fox"]),
        ("kebab-case snake_case camelCase", ["kebab", "case", "snake", "case", "camelcase"]),
        ("can’t 32.3 feet", ["can", "t", "32", "3", "feet"]),
        ("$5 a|b x=y 3°C", ["$5", "a|b", "x=y", "3°c"]),
        ("Café Ŵôřlḑôle Ærø Œuvre", ["cafe", "worldole", "aerø", "oeuvre"]),
        ("straße STRASSE", ["straße", "strasse"]),
        ("Ναυτίλος ναυτιλος", ["ναυτιλοσ", "ναυτιλοσ"]),
        ("abcдеф", ["abc", "деф"]),
        ("東京 tower", ["東", "京", "tower"]),
    ],
)
def test_text_is_cut_and_normalised(text: str, expected: list[str]):
    """A word that is cut otherwise than on a real node is not found where it is there."""
    assert [word for word, _ in words(text)] == expected


@pytest.mark.parametrize(
    ("between", "hard"),
    [
        (" ", False), ("-", False), (".", False), (",", False), (": ", False), ("\n", False),
        (". ", True), (", ", True), ("!", True), ("? ", True), ("; ", True), (" - ! ", True),
        ("。", True),
    ],
)  # fmt: skip
def test_sentences_are_told_from_words(between: str, hard: bool):
    """Words of two sentences are eight apart: no neighbours, whatever the query says."""
    assert words(f"one{between}two") == [("one", False), ("two", hard)]


def test_a_stop_word_is_one_only_as_it_is_written():
    """Meilisearch compares stop words before lower case; `The` is searched, `the` is not."""
    kinds = {t.lemma: t.kind for t in Tokenizer(stop_words=["the"]).tokens("the The à")}
    assert kinds["the"] is Kind.WORD
    assert Tokenizer(stop_words=["the"]).is_stop_word("the")
    assert not Tokenizer(stop_words=["the"]).is_stop_word("The")
    assert Tokenizer(stop_words=["à"]).is_stop_word("à")


def test_settings_move_the_borders_of_words():
    """separatorTokens, nonSeparatorTokens and dictionary each change what a word is."""
    assert [w for w, _ in words("a|b c", separators=["|"])] == ["a", "b", "c"]
    assert [w for w, _ in words("c&sep d", separators=["&sep"])] == ["c", "d"]
    assert [w for w, _ in words("rock-n-roll", non_separators=["-"])] == ["rock-n-roll"]
    assert [w for w, _ in words("J. R. R. Tolkien", dictionary=["J. R. R."])] == [
        "j. r. r.",
        "tolkien",
    ]


def test_tokens_cover_the_whole_text():
    """Highlighting puts a text together again from its tokens."""
    text = "  Été, l'été: 東京… (abcдеф)\tEnd. "
    tokens = list(Tokenizer().tokens(text))
    assert "".join(text[t.start : t.end] for t in tokens) == text
