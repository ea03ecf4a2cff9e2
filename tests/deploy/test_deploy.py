"""What is shipped to run the service names ports, probes, metrics and pages of the runbook that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
LABELS = {
    "workzone_requests_total": {"code"},
    "workzone_answers_total": {"verdict", "cached"},
    "workzone_answer_seconds": {"le"},
    "workzone_queue_depth": set(),
    "workzone_stage_state": {"stage"},
    "workzone_ready": set(),
    "workzone_journal_errors_total": set(),
    "workzone_bundle_info": {"digest"},
}
"""The service's metrics and their labels; Prometheus adds `instance` and `job`."""
SERVICES = [("compose.yaml", "/readyz"), ("stack.yaml", "/readyz")]


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def alerts() -> list[dict[str, Any]]:
    return [rule for group in read("prometheus/alerts.yaml")["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    return json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))


def shown() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


def metric_of(name: str) -> str:
    histogram = re.sub(r"_(bucket|sum|count)$", "", name)
    return histogram if LABELS.get(histogram) == {"le"} else name


def promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (Debian: the package prometheus)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("expression", [rule["expr"] for rule in alerts()] + shown())
def test_an_expression_names_metrics_and_labels_that_exist(expression: str) -> None:
    for name, selector in re.findall(r"\b(workzone_\w+|up)(\{[^}]*\})?", expression):
        labels = {"job"} if name == "up" else LABELS[metric_of(name)]
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert used <= labels | {"instance", "job"}


def test_every_metric_is_on_the_dashboard() -> None:
    named = {metric_of(name) for expression in shown() for name in re.findall(r"workzone_\w+", expression)}
    assert named == set(LABELS)


def test_the_service_has_the_metrics() -> None:
    source = ROOT / "src/workzone/serving/http/metrics.py"
    text = source.read_text(encoding="utf-8")
    assert {
        name for name in LABELS if not re.search(rf"\b{name.removesuffix('_total')}\b|\b{name}\b", text)
    } == set()


def test_every_alert_leads_to_its_place_in_the_runbook() -> None:
    page = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    anchors = re.findall(r'<a id="([\w-]+)">', page)
    linked = [rule["annotations"]["runbook"] for rule in alerts()]
    assert {link.removeprefix("docs/runbook.md#") for link in linked} == set(anchors)
    assert all(f"{rule['alert']}" in page for rule in alerts())
    assert {rule["labels"]["severity"] for rule in alerts()} == {"page", "ticket"}


def test_every_alert_is_tested_both_ways() -> None:
    cases = [
        case for test in read("prometheus/alerts.test.yaml")["tests"] for case in test["alert_rule_test"]
    ]
    names = {rule["alert"] for rule in alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_the_alerts_pass_promtool() -> None:
    promtool("check", "config", str(DEPLOY / "prometheus/prometheus.yaml"))
    promtool("check", "rules", str(DEPLOY / "prometheus/alerts.yaml"))
    promtool("test", "rules", str(DEPLOY / "prometheus/alerts.test.yaml"))


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    known = {"$__rate_interval": "5m", "$instance": ".*"}
    expressions = [re.sub(r"\$\w+", lambda found: known[found[0]], expression) for expression in shown()]
    rules = [{"record": f"shown:{number}", "expr": text} for number, text in enumerate(expressions)]
    path = tmp_path / "shown.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", str(path))


def test_no_two_panels_overlap() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    cells = [(p["x"] + i, p["y"] + j) for p in places for i in range(p["w"]) for j in range(p["h"])]
    assert len(cells) == len(set(cells))
    assert all(p["x"] + p["w"] <= 24 for p in places)


@pytest.mark.parametrize(("name", "probe"), SERVICES)
def test_a_container_is_confined_and_probed(name: str, probe: str) -> None:
    service = read(name)["services"]["workzone"]
    assert service["read_only"] is True
    assert service["user"] == "10001:10001"
    assert service["cap_drop"] == ["ALL"]
    assert f"http://127.0.0.1:8000{probe}" in service["healthcheck"]["test"][-1]
    assert any("/var/lib/workzone" in str(volume) for volume in service["volumes"])
    assert not any("9464" in str(port) for port in service["ports"])
    bundles = [v for v in service["volumes"] if isinstance(v, dict) and v["target"] == "/bundles"]
    assert [v["read_only"] for v in bundles] == [True]


@pytest.mark.parametrize("name", [name for name, _ in SERVICES])
def test_there_is_more_time_to_stop_than_to_drain(name: str) -> None:
    assert int(read(name)["services"]["workzone"]["stop_grace_period"].removesuffix("s")) > 65
    assert int(re.search(r"TimeoutStopSec=(\d+)", unit())[1]) > 65


def test_replicas_have_journals_of_their_own_and_roll_one_at_a_time() -> None:
    stack = read("stack.yaml")
    update = stack["services"]["workzone"]["deploy"]["update_config"]
    assert (update["order"], update["parallelism"], update["failure_action"]) == ("stop-first", 1, "rollback")
    assert "{{.Task.Slot}}" in stack["volumes"]["state"]["name"]
    assert stack["services"]["workzone"]["secrets"][0]["mode"] == 0o400


def test_the_image_is_not_root_and_says_whether_it_lives() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    last = text.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert re.search(r"HEALTHCHECK.*\\\n.*http://127\.0\.0\.1:8000/livez", last)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.M)
    sources = {source for line in copied for source in line.split()}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{source}" for source in sources} <= set(allowed)


@pytest.mark.parametrize("name", ["Dockerfile", "workzone.service", "workzone-miner.service"])
def test_what_is_deployed_reports_to_nobody(name: str) -> None:
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if line.startswith(("ENV ", "Environment="))]
    assert any("ORT_DISABLE_TELEMETRY=1" in line for line in told)


def unit() -> str:
    return (DEPLOY / "workzone.service").read_text(encoding="utf-8")


def test_the_unit_is_confined_and_restarts_what_fails() -> None:
    for line in ("User=workzone", "Restart=on-failure", "ProtectSystem=strict", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in unit()
    assert re.search(r"ExecStartPost=.*\\\n.*http://127\.0\.0\.1:8000/readyz", unit())


def test_the_miner_s_unit_is_confined_like_the_service_s_and_its_options_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from workzone.cli.app import run

    text = (DEPLOY / "workzone-miner.service").read_text(encoding="utf-8")
    confined = unit().split("\nUMask=")[1]
    assert text.endswith("\nUMask=" + confined)
    assert "\nRestart=on-failure\n" in text
    assert re.search(r"ExecStartPost=.*\\\n.*http://127\.0\.0\.1:9091/startupz", text)
    command = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", text, re.M)
    assert command is not None
    assert run(["mine", "--help"]) == 0
    known = capsys.readouterr().out
    assert {option for option in re.findall(r"--[a-z][a-z-]+", command[1]) if option not in known} == set()


def options() -> set[str]:
    """The options of `workzone serve` in what is shipped."""
    texts = [" ".join(read(name)["services"]["workzone"]["command"]) for name, _ in SERVICES]
    texts.append(re.search(r"^ExecStart=((?:.*\\\n)*.*)$", unit(), re.M)[1])
    texts.append((DEPLOY / "Dockerfile").read_text(encoding="utf-8").rsplit("\nCMD ", 1)[1])
    return {option for text in texts for option in re.findall(r"--[a-z][a-z-]+", text)}


def test_the_command_line_has_the_options() -> None:
    if not (ROOT / "src/workzone/cli/serve.py").exists():
        pytest.skip("there is no `workzone serve` yet")
    text = (ROOT / "src/workzone/cli/serve.py").read_text(encoding="utf-8")
    # typer names an option after its parameter
    assert {
        option for option in options() if option not in text and option[2:].replace("-", "_") not in text
    } == set()
