"""A developer's cluster must be found again as it was, or refused with a way out."""

import json
import os
import socket

import pytest

from miroir.cli.layout import Engine, LayoutFault, Shape, find_engine, lay_out
from miroir.config import load_config

EMBEDDED = Engine("embedded")
SHAPE = Shape(2, 2)


@pytest.fixture
def laid_out(tmp_path):
    """Lay a cluster out in one folder as often as wanted; the one before is over."""
    before = []

    def laid_out(shape=SHAPE, engine=EMBEDDED, **options):
        while before:
            before.pop().lock.close()
        layout = lay_out(tmp_path / "cluster", shape, engine, **options)
        before.append(layout)
        return layout

    yield laid_out
    for layout in before:
        layout.lock.close()


def test_the_configuration_it_writes_can_be_used(laid_out):
    """What `miroir serve` is started with passes the same checks as any operator's file."""
    layout = laid_out(settings={"settings_drift_check": {"interval_s": 2}})
    config = load_config(layout.config_file, {})
    assert config.topology.to_core().columns == (("n0", "n2"), ("n1", "n3"))
    assert config.master_key == layout.master_key
    assert config.admin_secret == layout.admin_key != layout.master_key
    assert config.settings_drift_check.interval_s == 2


def test_keys_are_kept_for_their_owner_alone(laid_out):
    """The machine of a developer has other users and other programs."""
    layout = laid_out()
    modes = {(layout.folder / name).stat().st_mode & 0o777 for name in ("master.key", "admin.key")}
    assert modes == {0o600}
    assert layout.master_key.reveal() not in layout.config_file.read_text()


def test_a_restart_finds_the_same_ports_and_keys(laid_out):
    """Clients, bookmarks and scripts of yesterday work today."""
    first, second = laid_out(), laid_out()
    assert second.ports == first.ports
    assert second.master_key == first.master_key


def test_a_port_taken_meanwhile_is_replaced_and_the_others_stay(laid_out):
    """Something else on one port of six must not keep a cluster from starting."""
    first = laid_out()
    with socket.socket() as other:
        other.bind(("127.0.0.1", first.ports["n1"]))
        other.listen()
        second = laid_out()
    assert second.ports["n1"] not in first.ports.values()
    assert {**second.ports, "n1": 0} == {**first.ports, "n1": 0}


def test_the_wanted_port_being_in_use_is_said(laid_out):
    """Another port than asked for would go unnoticed until a client fails."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LayoutFault, match=f"^port {port} is in use; stop what listens there"):
            laid_out(port=port)


def test_a_folder_of_another_shape_is_refused_with_the_options_that_fit(laid_out):
    """Documents lie where the old shape put them; the new one would not find them."""
    laid_out(Shape(2, 2))
    with pytest.raises(LayoutFault, match="use --shards 2 --replica-groups 2, or another"):
        laid_out(Shape(3, 2))


def test_a_folder_of_another_kind_of_node_is_refused(laid_out):
    """An embedded node cannot read what Meilisearch wrote, nor the other way round."""
    laid_out()
    with pytest.raises(LayoutFault, match="was made with embedded nodes, but now meilisearch"):
        laid_out(engine=Engine("meilisearch", "/usr/bin/meilisearch"))


def test_another_key_than_the_kept_one_is_refused(laid_out):
    """Secrets in the store are sealed with the old one."""
    laid_out(master_key="the first key")
    with pytest.raises(LayoutFault, match="holds another key") as caught:
        laid_out(master_key="the second key")
    assert "first" not in str(caught.value)


def test_two_clusters_never_share_a_folder(laid_out, tmp_path):
    """Two Miroirs on one store and twice the nodes on one database would destroy it."""
    laid_out()
    with pytest.raises(LayoutFault, match="another cluster runs on this folder"):
        lay_out(tmp_path / "cluster", Shape(2, 2), EMBEDDED)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    """`--data-dir ~` is one slip away."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(LayoutFault, match="holds other things"):
        lay_out(tmp_path, Shape(1, 1), EMBEDDED)


def test_a_damaged_record_of_the_cluster_is_said(laid_out):
    """A half-written file after a full disk."""
    layout = laid_out()
    (layout.folder / "cluster.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(LayoutFault, match=r"cluster.json: cannot be read"):
        laid_out()


def test_a_meilisearch_that_is_named_but_absent_is_no_silent_fallback(tmp_path):
    """Whoever names a binary wants to test that one and no other."""
    with pytest.raises(LayoutFault, match="MIROIR_MEILISEARCH_BIN: `/nowhere` is no program"):
        find_engine({"MIROIR_MEILISEARCH_BIN": "/nowhere"})


def test_a_meilisearch_on_the_path_is_taken(tmp_path):
    """The real engine is the better cluster to develop against."""
    program = tmp_path / "meilisearch"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_engine({"PATH": str(tmp_path)}) == Engine("meilisearch", str(program.resolve()))
    assert find_engine({"PATH": str(tmp_path)}, embedded=True) == EMBEDDED
    assert find_engine({"PATH": os.devnull}) == EMBEDDED
