"""The clock of a node and the size of its databases, from what can be asked."""

import pytest

from miroir.cli.admin_client import AdminClient
from miroir.cli.doctor_disk import _off, _size, clocks_of_nodes, disk
from miroir.cli.settings.proxy import ProxyTarget

CHANGE = {"startedAt": "2026-11-23T10:00:00.000Z", "endedAt": "2026-11-23T10:01:00.000Z"}


def part(started, finished):
    return {"startedAt": f"2026-11-23T{started}Z", "finishedAt": f"2026-11-23T{finished}Z"}


@pytest.mark.parametrize(
    ("node", "seconds"),
    [
        (part("10:00:01", "10:00:59"), 0),
        (part("09:59:57", "10:00:30"), 0),
        (part("09:58:00", "09:59:00"), -120),
        (part("10:00:30", "10:02:00"), 60),
        ({"startedAt": None, "finishedAt": None}, None),
    ],
)
def test_a_clock_is_wrong_when_a_task_lies_outside_of_its_change(node, seconds):
    """Only what is certain is told: a task within its change may still be off by less than it."""
    off = _off(CHANGE, node)
    assert (None if off is None else off.total_seconds()) == seconds


def test_sizes_are_read_by_people():
    """Bytes in ten digits are read by nobody."""
    told = [_size(number) for number in (0, 999, 1536, 20 << 20, 5 << 40)]
    assert told == ["0 B", "999 B", "1.5 KiB", "20 MiB", "5.0 TiB"]


class Told(ProxyTarget):
    """A cluster that says what a test wants it to say."""

    def __init__(self, stats, change):
        client = AdminClient("http://127.0.0.1:1")
        super().__init__(client, client)
        self._told = stats, change

    def stats(self):
        return self._told[0]

    def indexes(self):
        return ("movies", "books")

    def newest_change(self, index):
        return self._told[1] if index == "movies" else None


def test_what_nobody_tells_of_a_disk_is_said():
    """Silence would be read as: there is enough."""
    (told,) = disk(Told({"databaseSize": 3 << 30, "usedDatabaseSize": 2 << 30}, None))
    assert (told.level, told.check) == ("note", "disk")
    assert "3.0 GiB, 2.0 GiB of it in use; how much disk is free is not told" in told.says
    assert "as much again" in told.remedy
    (unknown,) = disk(Told(None, None))
    assert "stats.get" in unknown.remedy


def test_much_free_space_within_the_files_is_told_with_the_way_to_give_it_back():
    """LMDB never gives it back by itself."""
    told = list(disk(Told({"databaseSize": 9 << 30, "usedDatabaseSize": 1 << 30}, None)))
    assert "8.0 GiB" in told[1].says
    assert "compact" in told[1].remedy


def test_a_node_with_a_wrong_clock_is_named():
    """By name and how far: somebody has to go there."""
    nodes = {"n0": part("10:00:01", "10:00:59"), "n1": part("10:00:30", "11:00:00")}
    wrong, right = clocks_of_nodes(Told(None, {**CHANGE, "nodes": nodes}))
    assert wrong.says == "the clock of n1 was 3540 s ahead of Miroir's in its last change"
    assert (right.level, "n0" in right.says) == ("ok", True)
