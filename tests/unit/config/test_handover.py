"""A configuration for another process: nothing lost, nothing read again, no secret on the way."""

import orjson
import pytest

from miroir.config import handed_over, load_config, received

FILE = """
listen: {host: 0.0.0.0, port: 7701}
processes: 4
master_key: {env: THE_KEY}
task_webhook_authorization: {file: token}
topology:
  shards: 2
  replica_groups: 2
  nodes: [http://a:1, http://b:2, http://c:3, http://d:4]
limits: {search_timeout_s: 3.5}
settings_drift_check: {modes: {films: alert}}
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "token").write_text("Bearer of-the-hook")
    (tmp_path / "miroir.yaml").write_text(FILE)
    found = load_config(tmp_path / "miroir.yaml", {"THE_KEY": "a-master-key"})
    (tmp_path / "token").unlink()  # Whoever gets it must not have to read anything again.
    return found


def test_the_other_process_has_the_same_configuration(config):
    """Two processes of one server with different timeouts, or nodes, would be two servers."""
    values, secrets = handed_over(config)
    assert received(orjson.loads(orjson.dumps(values)), secrets) == config


def test_secrets_go_beside_the_rest(config):
    """The rest may be logged or shown by somebody who does not think of them."""
    values, secrets = handed_over(config)
    assert secrets == {
        "master_key": "a-master-key",
        "task_webhook_authorization": "Bearer of-the-hook",
    }
    shown = orjson.dumps(values)
    assert not any(secret.encode() in shown for secret in secrets.values())
