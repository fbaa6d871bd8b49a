"""What brings a node to the keys of the cluster. Golden values were told by Meilisearch 1.50."""

from datetime import UTC, datetime

import pytest

from miroir.core import keys as rules
from miroir.core.keys import Step

NOW = datetime(2026, 11, 23, tzinfo=UTC)
UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"
OTHER = "f055301c-11c1-435d-bed7-86ce089ec040"


def key(**changes):
    fields = {
        "name": None,
        "description": None,
        "actions": ["search"],
        "indexes": ["a"],
        "expiresAt": None,
    }
    return {**fields, **changes}


def body(uid, **changes):
    return {"uid": uid, **key(**changes)}


def test_a_value_is_what_a_node_derives():
    """Else a client's key would open Miroir and no node, or the other way round."""
    assert rules.value_of("MASTERMASTERMASTER1", UID) == (
        "7e22ef6b2d9e9198f0aec8f5a12d65adb68ffab8bb2d904cbb56c58765b5aec8"
    )
    assert rules.value_of("MASTERMASTERMASTER1", OTHER) == (
        "c313d69a550904104622eaa3dd51b80a35a3320b5c1f8b86009d689612df775c"
    )


@pytest.mark.parametrize(
    "text",
    [UID, UID.upper(), UID.replace("-", ""), "{" + UID + "}", "urn:uuid:" + UID],
)
def test_every_form_of_a_uid_that_nodes_take_is_one_uid(text):
    """The value is derived from the one form with hyphens and small letters."""
    assert rules.normal_uid(text) == UID


@pytest.mark.parametrize(
    "text", ["", "nope", UID[:-1], UID + "0", "z" * 32, UID.replace("-", "_")]
)
def test_what_no_node_takes_is_no_uid(text):
    """It is sent to a node as it came, to be refused in the node's words."""
    assert rules.normal_uid(text) is None


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, None),
        ("2030-01-01", "2030-01-01T00:00:00Z"),
        ("2030-01-01 10:00:00", "2030-01-01T10:00:00Z"),
        ("2030-01-01T10:00:00Z", "2030-01-01T10:00:00Z"),
        ("2030-01-01T00:00:00.123456+02:00", "2030-01-01T00:00:00.123456+02:00"),
        ("2030-01-01T00:00:00.500Z", "2030-01-01T00:00:00.5Z"),
    ],
)
def test_a_date_is_shown_as_nodes_show_it(given, shown):
    """SDKs parse RFC 3339 and nothing else."""
    assert rules.normal_moment(given) == shown


def test_equal_keys_need_no_step():
    """Order and repetition say nothing; nodes have dates of their own."""
    wanted = {UID: key(actions=["search", "documents.get"], createdAt="x")}
    shown = {UID: key(actions=["documents.get", "search", "search"], createdAt="y")}

    assert rules.faults(wanted, shown, NOW) == ()
    assert rules.steps(wanted, shown, NOW) == ()


def test_one_instant_in_two_offsets_is_the_same_end():
    """Else the sweep would make the key anew for ever."""
    wanted = {UID: key(expiresAt="2030-01-01T02:00:00+02:00")}

    assert rules.faults(wanted, {UID: key(expiresAt="2030-01-01T00:00:00Z")}, NOW) == ()


def test_a_missing_key_is_made_under_its_uid():
    """Without the uid the node would choose one, and the value would be another."""
    assert rules.steps({UID: key()}, {}, NOW) == (Step("POST", "/keys", body(UID)),)
    assert rules.faults({UID: key()}, {}, NOW) == (f"key {UID}: missing",)


def test_a_deleted_key_that_is_alive_is_deleted():
    """It would still open the node for whoever kept it."""
    assert rules.steps({UID: None}, {UID: key()}, NOW) == (Step("DELETE", f"/keys/{UID}"),)
    assert rules.faults({UID: None}, {UID: key()}, NOW) == (
        f"key {UID}: deleted, and still there",
    )
    assert rules.faults({UID: None}, {}, NOW) == ()


def test_rights_that_were_changed_behind_our_back_are_made_anew():
    """Nodes cannot change the actions of a key; somebody has deleted and made it again."""
    steps = rules.steps({UID: key()}, {UID: key(actions=["*"])}, NOW)

    assert steps == (Step("DELETE", f"/keys/{UID}"), Step("POST", "/keys", body(UID)))


def test_another_name_is_changed_in_place():
    """Deleting the key first would lock its users out meanwhile."""
    steps = rules.steps({UID: key(name="x")}, {UID: key(name="y")}, NOW)

    assert steps == (Step("PATCH", f"/keys/{UID}", {"name": "x"}),)


def test_deletions_come_first():
    """What must not open anything any more does not wait for what is new."""
    steps = rules.steps({UID: key(), OTHER: None}, {OTHER: key()}, NOW)

    assert [step.method for step in steps] == ["DELETE", "POST"]


def test_a_key_that_has_expired_may_be_missing():
    """A node takes no date of the past: asking for it would be repaired for ever."""
    wanted = {UID: key(expiresAt="2020-01-01")}

    assert rules.faults(wanted, {}, NOW) == ()
    assert rules.steps(wanted, {}, NOW) == ()


def test_keys_that_are_not_ours_are_never_touched():
    """Each node's own default keys, and what an operator made by hand."""
    assert rules.steps({UID: key()}, {UID: key(), OTHER: key(actions=["*"])}, NOW) == ()


def test_evidence_is_equal_for_equal_keys_and_holds_no_value():
    """A fingerprint goes into the store and the logs."""
    one = rules.evidence({UID: key()}, {UID: {**key(), "key": "secret"}})
    other = rules.evidence({UID: key()}, {UID: key(actions=["search", "search"])})

    assert one == other
    assert "secret" not in str(one)


def test_keys_that_every_node_has_alike_are_shared():
    """One node, or nodes from one snapshot, keep the keys that their users know."""
    assert set(rules.shared([{UID: key(), OTHER: key()}, {UID: key(), OTHER: key(name="x")}])) == {
        UID
    }
    assert set(rules.shared([{UID: key()}])) == {UID}
