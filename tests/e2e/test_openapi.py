"""The running API against its own documentation: Schemathesis sends what that allows and what it forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.stack import Stack

_CONFIGURATION = Path(__file__).parent.parent / "schemathesis.toml"
_EXAMPLES = 8  # of each kind for each operation: a number, since a busy machine would try less in a given time
_SECONDS = 240  # on a very busy one; alone it takes a tenth of that


def test_the_running_api_does_what_its_documentation_says(
    stack: Stack, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    longer = request.config.getoption("--api")
    extent = [f"--max-time={longer}"] if longer else [f"--max-examples={_EXAMPLES}", "--seed=1"]
    arguments = [f"{stack.base_url}/openapi.json", "--no-color", *extent]
    run = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), f"--config-file={_CONFIGURATION}", "run", *arguments],
        cwd=tmp_path,
        env=os.environ | {"LAZARETTO_TEST_KEY": stack.api_key},
        capture_output=True,
        text=True,
        timeout=longer + _SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in run.stdout or f"✅  {phase}" in run.stdout, run.stdout
    if longer:
        print(run.stdout)


def test_everything_in_the_documentation_is_described(stack: Stack) -> None:
    document = httpx.get(f"{stack.base_url}/openapi.json").json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["description"]
        assert set(operation["tags"]) <= tags
        assert {"400", "431", "500"} <= set(operation["responses"])
        if "security" in operation:
            assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
    [event] = [operation for webhook in document["webhooks"].values() for operation in webhook.values()]
    told = event["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert document["components"]["schemas"][told]["properties"]["data"] == {"$ref": "#/components/schemas/ScanView"}
    assert {each["name"] for each in event["parameters"]} == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert (event["operationId"], set(event["responses"])) == ("scan_ended", {"204", "default"})
    assert {"info", "servers"} <= set(document)
    assert {"contact", "license", "description"} <= set(document["info"])
    assert "content" not in document["paths"]["/v1/scans/{scan_id}/content"]["get"]["responses"]["307"]
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
        assert "X-Request-ID" in response["headers"]
