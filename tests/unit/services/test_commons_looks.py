"""How the features and keys that a node shows are judged."""

from datetime import UTC, datetime
from functools import partial

from miroir.core.keys import value_of
from miroir.services.carriers import features, keys

NOW = datetime(2026, 11, 23, tzinfo=UTC)
UID = "6062abda-a5aa-4414-ac91-ecd7944c0f8d"
DEAD = "f055301c-11c1-435d-bed7-86ce089ec040"
OURS = partial(value_of, "a master key of the cluster")
DEFINITION = {
    "name": "shop",
    "description": None,
    "actions": ["search"],
    "indexes": ["*"],
    "expiresAt": None,
}
WANTED = {UID: DEFINITION, DEAD: None}


def shown(**changes):
    return {UID: {"uid": UID, "key": OURS(UID), **DEFINITION, **changes}}


def look(seen, now=NOW, wanted=WANTED):
    return keys.look(wanted, seen, OURS, now, wanted)


def test_keys_as_wanted_are_no_fault():
    """The usual look of the sweep."""
    assert look(shown()).faults == ()


def test_a_node_with_another_master_key_is_found_by_the_value():
    """It would refuse every client, and no request can change that."""
    strange = {UID: {**shown()[UID], "key": value_of("another master key", UID)}}

    (fault,) = look(strange).faults

    assert "another master key" in fault
    assert strange[UID]["key"] not in fault


def test_a_version_of_the_keys_has_one_fingerprint_for_ever():
    """Also when a key has expired and a new node does not have it any more (BR-6)."""
    wanted = {UID: {**DEFINITION, "expiresAt": "2027-01-01T00:00:00Z"}}
    later = datetime(2028, 1, 1, tzinfo=UTC)

    before = look(shown(expiresAt="2027-01-01T00:00:00Z"), wanted=wanted)
    after = look({}, later, wanted)

    assert (before.faults, after.faults) == ((), ())
    assert before.fingerprint == after.fingerprint


def test_other_keys_have_another_fingerprint():
    """A fingerprint that never differs would prove nothing."""
    assert look(shown()).fingerprint != look(shown(name="x")).fingerprint
    assert look(shown()).fingerprint != look({}).fingerprint


def test_features_as_wanted_are_no_fault_also_where_a_flag_is_unknown():
    """Nodes of two versions know different flags; that is skew, and no drift."""
    seen = features.look({"metrics": True, "network": False}, {"metrics": True}, {})

    assert seen.faults == ()


def test_a_feature_that_differs_is_named():
    """Who reads the alert wants to know which."""
    assert features.look({"metrics": True}, {"metrics": False}, {}).faults == (
        "metrics: is not on",
    )


def test_a_change_that_wants_a_flag_on_needs_every_node_to_know_it():
    """Answering that it is on while a node cannot do it would be a lie."""
    wanted = {"metrics": True, "renderRoute": True}

    (fault,) = features.look(wanted, {"metrics": True}, {"renderRoute": True}).faults

    assert fault == "renderRoute: is not known to it"
