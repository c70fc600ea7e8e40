"""Scores for the Hub: shown first, validated, sent as one commit, and never a token in sight."""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import generated
import pytest
from click.testing import CliRunner
from test_escape import HOSTILE

from harness.cli.main import cli
from harness.errors import UsageError
from harness.export import hub
from harness.export.request import KNOWN, SCALES, HubBenchmark, Request
from harness.publish.write import publish

TOKEN = "hf_thisTokenMustNeverBeSeen"
SCALE = ("--hub", "words=me/words:words:percent")


@pytest.fixture
def harness(harness_apart):
    """The Hub's client reads its variables when it is imported."""
    return harness_apart


@pytest.fixture
def published(tmp_path: Path) -> str:
    """Return a folder of published records."""
    runs = tmp_path / "made"
    generated.leave(runs, generated.board({"start": 0.4, "sft": 0.6}, n=30, seeds=[0]))
    publish(runs, generated.conditions(seeds=[0]), tmp_path / "leaderboards")
    return str(tmp_path / "leaderboards" / "records" / "made-up")


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub's interface as one commit of small files needs."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.path, headers, body))
        if self.server.refuses:
            return self.answer(403, {"error": f"Forbidden: {self.headers['Authorization']}"})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
            return self.answer(200, {"files": modes})
        where = "https://huggingface.co/me/model"
        made = {"success": True, "commitOid": "c" * 40, "commitUrl": f"{where}/commit/{'c' * 40}"}
        if "create_pr=1" in self.path:
            made["pullRequestUrl"] = f"{where}/discussions/1"
        return self.answer(200, made)

    def answer(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """Return a local server that the Hub's own client takes for the Hub."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    served.requests, served.refuses = [], False
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{served.server_port}")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def commit(server) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return the path, the header and the files of the commit that the server was sent."""
    path, _, body = next(r for r in server.requests if "/commit/" in r[0])
    lines = [json.loads(line) for line in body.splitlines()]
    header = next(line["value"] for line in lines if line["key"] == "header")
    files = {
        line["value"]["path"]: base64.b64decode(line["value"]["content"]).decode()
        for line in lines
        if line["key"] == "file"
    }
    return path, header, files


def test_without_send_everything_is_shown_and_nothing_is_sent(harness, published, server):
    done = harness("push", "sft/0", "me/model", published, *SCALE)
    assert not server.requests
    assert "pull request on the model repository me/model" in done.stdout
    assert "README.md (" in done.stdout
    assert "    # made-up-sft-s0" in done.stdout
    assert ".eval_results/words__chat_zeroshot.v1.yaml (" in done.stdout
    assert "    id: me/words" in done.stdout
    refused = [line for line in done.stderr.splitlines() if "not in .eval_results" in line]
    assert len(refused) == 2
    assert "--hub longer=DATASET:TASK_ID:SCALE" in refused[0]
    assert "Nothing was sent" in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_send_sends_what_was_shown_as_a_pull_request(harness, published, server):
    arguments = ("push", "sft/0", "me/model", published, *SCALE)
    shown = harness(*arguments).stdout
    done = harness(*arguments, "--send")
    assert done.stdout.startswith(shown)
    assert done.stdout.rstrip().endswith("https://huggingface.co/me/model/discussions/1")
    path, header, files = commit(server)
    assert path.startswith("/api/models/me/model/commit/main")
    assert "create_pr=1" in path
    assert header["summary"] == "Add srlm-harness scores of sft on board made-up"
    assert set(files) == {"README.md", ".eval_results/words__chat_zeroshot.v1.yaml"}
    for text in files.values():
        assert text.rstrip("\n").replace("\n", "\n    ") in shown
    sent = {request[1].get("authorization") for request in server.requests}
    assert f"Bearer {TOKEN}" in sent
    assert sent <= {f"Bearer {TOKEN}", None}
    assert TOKEN not in done.stdout + done.stderr


def test_a_commit_without_a_pull_request_has_to_be_asked_for(harness, published, server):
    done = harness("push", "start", "me/model", published, "--send", "--direct")
    assert "create_pr=1" not in commit(server)[0]
    assert "commit to the model repository me/model" in done.stdout
    assert done.stdout.rstrip().endswith("/commit/" + "c" * 40)


def test_a_refusal_of_the_hub_is_one_line_without_the_token(harness, published, server):
    server.refuses = True
    done = harness("push", "sft/0", "me/model", published, "--send", check=1)
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("harness: ")]
    assert "confirmed no commit to me/model" in line
    assert "nothing here has changed" in line
    assert TOKEN not in done.stdout + done.stderr


def test_without_a_network_or_a_token_nothing_is_lost(harness, published, monkeypatch, tmp_path):
    arguments = ("push", "sft/0", "me/model", published, "--send")
    before = {path: path.read_bytes() for path in Path(published).iterdir()}
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert "set HF_TOKEN" in harness(*arguments, check=2).stderr
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    done = harness(*arguments, check=1)  # HF_HUB_OFFLINE=1, as in all tests
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("harness: ")]
    assert "confirmed no commit to me/model" in line
    assert TOKEN not in done.stdout + done.stderr
    assert {path: path.read_bytes() for path in Path(published).iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sft/0", "me/my..model"), "repository me/my..model"),
        (("sft/0", "model"), "write ORG/NAME, as in me/model"),
        (("sft/00", "me/model"), "did you mean 'sft/0'"),
        (("sft", "me/model", "--hub", "words=a:b"), "TASK=DATASET:TASK_ID"),
        (("sft", "me/model", "--hub", "words=a:b:points"), "share or percent"),
        (("sft", "me/model", "--hub", "wrds=a:b:share"), "did you mean"),
        (("sft", "me/model", "--hub", "words=a..b:b:share"), "not valid"),
    ],
)
def test_a_mistake_is_refused_in_words(published, arguments, says):
    done = CliRunner().invoke(cli, ["push", *arguments[:2], published, *arguments[2:]])
    known = isinstance(done.exception, UsageError)
    assert known or done.exit_code == 2
    assert says in (str(done.exception) if known else done.output)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_inside_the_card(name, tmp_path):
    text = HOSTILE[name][:300]
    made = generated.board({"sft": 0.5}, n=10, seeds=[0])
    conditions = generated.conditions(title=text, data=text, start_model=text, seeds=[0])
    record = made[0].model_copy(update={"command": text, "trainer": text or "x"})
    request = Request([record], conditions, tmp_path, tmp_path)
    (card,) = hub.prepare(request, record, "me/model").files.values()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "<script" not in re.sub("`[^`\n]*`", "", card)
    assert "\x1b" not in card


def test_the_table_of_benchmarks_is_whole():
    from huggingface_hub.utils import validate_repo_id

    for benchmark in KNOWN.values():
        validate_repo_id(benchmark.dataset)
        assert benchmark.scale in SCALES
    assert HubBenchmark("a/b", "c", "percent").value(0.5) == 50.0


def test_a_repository_is_not_named_by_a_board_that_has_no_such_cell(tmp_path):
    record = generated.record("sft", 0, {"words": "C"})
    request = Request([record], generated.conditions(), tmp_path, tmp_path)
    with pytest.raises(UsageError, match="repository a/b/c"):
        hub.prepare(request, record, "a/b/c")


def test_a_value_that_the_hub_would_read_otherwise_is_refused(tmp_path, monkeypatch):
    record = generated.record("sft", 0, {"words": "CW"})
    benchmarks = {"words": HubBenchmark("me/words", "words", "share")}
    request = Request([record], generated.conditions(), tmp_path, tmp_path, benchmarks=benchmarks)
    assert len(hub.prepare(request, record, "me/model").files) == 2
    plain = hub._eval_result
    monkeypatch.setattr(
        hub, "_eval_result", lambda *a: plain(*a).replace("value: 0.5", "value: 50")
    )
    with pytest.raises(UsageError, match="reads as 50, not as"):
        hub.prepare(request, record, "me/model")
