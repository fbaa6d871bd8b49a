"""What an operator reads when the configuration cannot be used, word for word."""

import re
from pathlib import Path

import pytest

from miroir import cli
from miroir.config import Config, Secret, load_config
from miroir.config.source import SECRET_KEYS
from miroir.errors import ConfigError

LONG_FORM = """\
topology:
  shards: 2
  replica_groups: 2
  nodes:
    - {name: a, url: "http://h1:7700", shard: 0, replica_group: 0}
    - {name: b, url: "http://h2:7700/", shard: 1, replica_group: 0}
    - {name: c, url: "http://h3", shard: 0, replica_group: 1}
    - {name: d, url: "https://h4", shard: 1, replica_group: 1}
"""
ONE_NODE = "topology: {nodes: ['http://127.0.0.1:7701']}\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load this text as miroir.yaml, with this environment, from the folder of the file."""
    monkeypatch.chdir(tmp_path)

    def load(text: str, **environ: str) -> Config:
        Path("miroir.yaml").write_text(text)
        return load_config(Path("miroir.yaml"), environ)

    return load


@pytest.fixture
def faults(load):
    """Return what loading this text says."""

    def faults(text: str, **environ: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        return str(caught.value)

    return faults


def test_the_long_form_places_each_node(load):
    """The grid is the promise of who holds what; a node at the wrong place serves wrong data."""
    topology = load(LONG_FORM).topology.to_core()
    assert topology.columns == (("a", "c"), ("b", "d"))
    assert [node.url for node in topology.nodes] == [
        "http://h1:7700",
        "http://h2:7700",
        "http://h3:80",
        "https://h4:443",
    ]


def test_the_short_form_fills_group_by_group(load):
    """The form most people write: they must know which node is where without looking it up."""
    text = "topology: {shards: 2, replica_groups: 2, nodes: ['http://a', 'http://b', "
    topology = load(text + "'http://c', 'http://d']}").topology.to_core()
    assert topology.node_ids == ("n0", "n1", "n2", "n3")
    assert topology.columns == (("n0", "n2"), ("n1", "n3"))


def test_the_defaults_are_those_of_the_reference(load):
    """A cluster of one node needs one line."""
    config = load(ONE_NODE)
    assert (config.listen.host, config.listen.port) == ("127.0.0.1", 7700)
    assert config.settings_broadcast.node_silence_s == 90
    assert config.limits.payload_bytes_max == 100 * 1024 * 1024
    assert config.master_key is None
    assert config.admin_secret is None


def test_every_fault_is_reported_at_once_with_place_key_and_remedy(faults):
    """Whoever restarts to find the next typo loses minutes each time."""
    text = """\
listen: {port: high}
settings_broadcast:
  strategi: two_phase
  probe_wait_s: -1
  max_repair_retries: true
  waves: on
topology:
  nodes:
    - localhost:7701
limitz: {}
probe_wait_s: 4
"""
    assert (
        faults(text)
        == """\
miroir.yaml cannot be used: 8 faults
  miroir.yaml:1: listen.port: `high` must be a whole number
  miroir.yaml:9: topology.nodes[0].url: `localhost:7701` is not a URL; write it as http://host:port
  miroir.yaml:6: settings_broadcast.waves: `on` must be 'auto' or 'off'
  miroir.yaml:4: settings_broadcast.probe_wait_s: `-1` must be at least 0
  miroir.yaml:5: settings_broadcast.max_repair_retries: `true` must be a whole number
  miroir.yaml:3: settings_broadcast.strategi: unknown key; did you mean `strategy`?
  miroir.yaml:10: limitz: unknown key; did you mean `limits`?
  miroir.yaml:11: probe_wait_s: unknown key; did you mean `settings_broadcast.probe_wait_s`?"""
    )


def test_a_missing_file_names_the_way_out(tmp_path):
    """The first error anybody sees."""
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "absent.yaml", {})
    assert str(caught.value) == (
        f"{tmp_path}/absent.yaml: no such file; create it, or name another with --config "
        "(see docs/reference/config.md)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "listen: {port: 1",
            "miroir.yaml:1: not YAML: expected ',' or '}', but got '<stream end>'",
        ),
        ("a: 1\na: 2\n", 'miroir.yaml:2: not YAML: found duplicate key "a" with value'),
        ("- a\n", "miroir.yaml:1: must be a mapping; write `key: value` lines"),
        (
            "a: " + "[" * 20 + "]" * 20,
            "miroir.yaml:1: nested too deeply; remove the anchor or the level",
        ),
    ],
)
def test_a_file_that_is_no_mapping_is_named_with_its_line(faults, text, said):
    """A YAML library's own report spans a screen and forgets the file."""
    assert said in faults(text)
    assert "\n" not in faults(text)


GRID_FAULTS = {
    "too few nodes": (
        "{shards: 2, replica_groups: 2, nodes: ['http://a', 'http://b', 'http://c']}",
        "topology.nodes: has 3 nodes, but shards: 2 and replica_groups: 2 need 4; add 1, "
        "or change shards or replica_groups",
    ),
    "no grid said": (
        "{nodes: ['http://a', 'http://b']}",
        "topology.nodes: has 2 nodes, but shards: 1 and replica_groups: 1 need 1; "
        "set shards: 2 to divide or replica_groups: 2 to copy the data",
    ),
    "one url twice": (
        "{shards: 2, nodes: ['http://a:80', 'HTTP://A/']}",
        "topology.nodes[1].url: `http://a:80` is also nodes[0]; each node needs its own url",
    ),
    "one name twice": (
        "{shards: 2, nodes: [{name: x, url: 'http://a'}, {name: x, url: 'http://b'}]}",
        "topology.nodes[1].name: `x` is also nodes[0]; each node needs its own name",
    ),
    "one place twice": (
        "{shards: 2, nodes: [{url: 'http://a', shard: 0, replica_group: 0}, "
        "{url: 'http://b', shard: 0, replica_group: 0}]}",
        "topology.nodes[0]: shard 0 of replica group 0 is taken by another node; "
        "shard 1 of replica group 0 is free",
    ),
    "outside the grid": (
        "{shards: 2, nodes: [{url: 'http://a', shard: 0, replica_group: 0}, "
        "{url: 'http://b', shard: 2, replica_group: 1}]}",
        "topology.nodes[1].shard: `2` is no shard; use 0 to 1, or raise topology.shards",
    ),
    "only some placed": (
        "{shards: 2, nodes: [{url: 'http://a', shard: 0, replica_group: 0}, 'http://b']}",
        "topology.nodes[1].shard: is missing; add it",
    ),
    "a path in a url": (
        "{nodes: ['http://a:7700/search']}",
        "topology.nodes[0].url: `http://a:7700/search` must end after the port; "
        "write it as http://host:port",
    ),
    "a name that breaks a label": (
        "{nodes: [{name: 'a b', url: 'http://a'}]}",
        "topology.nodes[0].name: `a b` must be at most 63 letters, digits, `.`, `_` or `-`, "
        "the first a letter or digit",
    ),
}


@pytest.mark.parametrize(("topology", "said"), GRID_FAULTS.values(), ids=GRID_FAULTS.keys())
def test_a_grid_that_is_not_filled_exactly_is_refused(faults, topology, said):
    """A hole or an overlap in the grid would lose or double documents."""
    assert f"miroir.yaml:1: {said}" in faults(f"topology: {topology}\n").splitlines()[1:][0]


def test_a_password_in_a_url_is_refused_and_not_repeated(faults):
    """The url of a node is shown in logs, metrics and status."""
    said = faults("topology: {nodes: ['http://user:hunter2@a:7700']}\n")
    assert "must hold no user or password" in said
    assert "hunter2" not in said


def test_a_literal_secret_is_refused_and_not_repeated(faults):
    """Configuration files are committed, copied and read aloud in chats."""
    said = faults("master_key: hunter2-hunter2\nadmin_key: {key: hunter3}\n" + ONE_NODE)
    assert (
        said
        == """\
miroir.yaml cannot be used: 2 faults
  miroir.yaml:1: master_key: a secret must not be written here; write {env: NAME} or {file: PATH}
  miroir.yaml:2: admin_key: not a reference to a secret; write {env: NAME} or {file: PATH}"""
    )


def test_a_secret_comes_from_a_variable_or_a_file_beside_the_configuration(load):
    """The two forms that every orchestrator can supply."""
    Path("key").write_text("from-file\n")
    config = load(
        "master_key: {env: KEY}\nadmin_key: {file: key}\n" + ONE_NODE, KEY="from-environment"
    )
    assert config.master_key == Secret("from-environment")
    assert config.admin_secret == Secret("from-file")
    assert config.sealing_secret == config.master_key


def test_the_variables_for_secrets_win_over_the_file(load):
    """A deployment can change a key without another copy of the file."""
    text = "master_key: {file: absent}\n" + ONE_NODE
    config = load(
        text, MIROIR_MASTER_KEY="5", MIROIR_SECRET_KEY="s", MIROIR_ADMIN_KEY__ENV="A", A="a"
    )
    assert config.master_key == Secret("5")
    assert config.sealing_secret == Secret("s")
    assert config.admin_secret == Secret("a")


def test_a_reference_that_leads_nowhere_is_a_fault(faults):
    """An empty or absent key must never mean: no key, everything open."""
    Path("two").write_text("a\nb\n")
    text = "master_key: {env: ABSENT}\nadmin_key: {file: absent}\nsecret_key: {file: two}\n"
    lines = faults(text + ONE_NODE).splitlines()
    assert "environment variable ABSENT is not set; export it, or use {file: PATH}" in lines[1]
    assert "absent: no such file or directory; make the file readable for this user" in lines[2]
    assert "two: must hold the secret alone, on one line" in lines[3]
    assert "MIROIR_MASTER_KEY is empty" in faults(ONE_NODE, MIROIR_MASTER_KEY="")


def test_a_configuration_never_prints_its_secrets(load):
    """Configurations end up in tracebacks."""
    config = load(ONE_NODE, MIROIR_MASTER_KEY="hunter2-hunter2")
    for shown in (repr(config), str(config), f"{config.master_key}", repr(config.model_dump())):
        assert "hunter2" not in shown
    assert config.secrets == (Secret("hunter2-hunter2"),)


def test_each_index_may_say_what_a_foreign_change_means(load, faults):
    """A typo here would leave an index without the protection that its owner counts on."""
    given = load(ONE_NODE + "settings_drift_check: {modes: {movies: alert, books: off}}\n")
    assert given.settings_drift_check.modes == {"movies": "alert", "books": "off"}
    said = faults(ONE_NODE + "settings_drift_check: {modes: {movies: alarm}}\n")
    assert "settings_drift_check.modes.movies: `alarm` must be 'repair', 'alert'" in said
    said = faults(ONE_NODE + "settings_drift_check: {modes: {a/b: alert}}\n")
    assert "settings_drift_check.modes.a/b: is no index uid; use letters" in said
    said = faults(ONE_NODE + "settings_drift_check: {modes: [movies]}\n")
    assert "settings_drift_check.modes: must be a mapping" in said


def test_the_environment_wins_over_the_file(load):
    """One image, many places."""
    config = load(
        "listen: {port: 7700}\n" + ONE_NODE,
        MIROIR_LISTEN__PORT="7800",
        MIROIR_SETTINGS_BROADCAST__PROBE_WAIT_S="0.5",
        MIROIR_SETTINGS_DRIFT_CHECK__AUTO_REPAIR="false",
        MIROIR_TOPOLOGY__SHARDS="2",
        MIROIR_TOPOLOGY__NODES="[http://a:1, http://b:1]",
    )
    assert config.listen.port == 7800
    assert config.settings_broadcast.probe_wait_s == 0.5
    assert config.settings_drift_check.auto_repair is False
    assert config.topology.to_core().columns == (("n0",), ("n1",))


def test_a_misspelt_variable_is_refused_by_its_name(faults):
    """A variable that is silently ignored is a setting that silently does not hold."""
    said = faults(ONE_NODE, MIROIR_LISTEN__PROT="1", MIROIR_LISTEN_PORT="1", MIROIR_DATADIR="x")
    assert (
        "environment MIROIR_LISTEN__PROT: listen.prot: unknown key; did you mean `port`?" in said
    )
    assert (
        "environment MIROIR_LISTEN_PORT: listen_port: unknown key; did you mean `listen.port`?"
        in said
    )
    assert "environment MIROIR_DATADIR: datadir: unknown key; did you mean `data_dir`?" in said


def test_the_variables_of_commands_are_none_of_ours(load):
    """Whoever has set them for `miroir settings` starts `miroir serve` in the same shell."""
    told = "".join(path.read_text() for path in Path(cli.__file__).parent.rglob("*.py"))
    named = set(re.findall(r"\bMIROIR_[A-Z]+(?:_[A-Z]+)*\b", told))
    secrets = {f"MIROIR_{key.upper()}" for key in SECRET_KEYS}
    assert {"MIROIR_KEY", "MIROIR_BY"} <= named
    load(ONE_NODE, **dict.fromkeys(named - secrets, "x"))


def test_the_variables_that_kubernetes_adds_are_none_of_ours(load):
    """A service called miroir puts these into every pod beside it, and Miroir must still start."""
    load(
        ONE_NODE,
        MIROIR_SERVICE_HOST="10.0.0.1",
        MIROIR_SERVICE_PORT_HTTP="7700",
        MIROIR_PORT="tcp://10.0.0.1:7700",
        MIROIR_PORT_7700_TCP_ADDR="10.0.0.1",
        MIROIR_NODES_SERVICE_HOST="10.0.0.2",
    )


def test_an_open_server_without_a_key_is_refused(faults, load):
    """Nobody should learn from a search engine for strangers that they forgot a key."""
    text = "listen: {host: 0.0.0.0}\n" + ONE_NODE
    assert faults(text).endswith(
        "miroir.yaml:1: listen.host: `0.0.0.0` would open every index to the network; "
        "set master_key, or use 127.0.0.1"
    )
    assert load(text, MIROIR_MASTER_KEY="k").listen.host == "0.0.0.0"


def test_a_relative_data_folder_lies_beside_the_file(load, tmp_path, monkeypatch):
    """Started from another folder, Miroir must find the same store."""
    load(ONE_NODE + "data_dir: store\n")
    monkeypatch.chdir("/")
    config = load_config(tmp_path / "miroir.yaml", {})
    assert config.data_dir == tmp_path / "store"


def test_a_section_left_empty_means_its_defaults(load):
    """What remains when every key below it is commented out."""
    assert load("logging:\n" + ONE_NODE).logging.level == "info"
