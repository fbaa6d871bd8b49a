"""Language codes: the table against an independent one."""

from miroir.core.settings_locales import ISO_639_3
from miroir.node.settings.locales import LOCALES, TO_ISO_639_3


def test_the_table_is_that_of_the_embedded_node() -> None:
    """Written twice, compared once: a typo in either is found."""
    assert ISO_639_3 == TO_ISO_639_3


def test_three_letters_for_two() -> None:
    """Each code of the table is one that nodes know, in both forms."""
    assert all(len(two) == 2 and len(three) == 3 for two, three in ISO_639_3.items())
    assert {*ISO_639_3, *ISO_639_3.values()} <= set(LOCALES)
