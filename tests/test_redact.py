"""Secrets are taken out of what is kept and shown; texts about mathematics stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.records import read_records
from harness.redact import redact, redact_file, redacted, secrets

LETTERS = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYz"


@pytest.mark.promise("A secret that a trainer quotes is in no log, record, page or message")
@pytest.mark.parametrize(
    ("token", "name"),
    [
        (f"hf_{LETTERS}", "Hugging Face token"),
        (f"sk-{LETTERS}", "API key"),
        (f"sk-proj-{LETTERS}_{LETTERS}", "API key"),
        (f"sk-ant-api03-{LETTERS}-{LETTERS}", "API key"),
        (f"ghp_{LETTERS}{LETTERS[:9]}", "GitHub token"),
        (f"github_pat_{LETTERS}_{LETTERS}", "GitHub token"),
        (f"glpat-{LETTERS}", "GitLab token"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS key"),
        (f"AIza{LETTERS}ab", "Google key"),
        ("xoxb-123456789012-abcdef", "Slack token"),
        (f"eyJ{LETTERS}.eyJ{LETTERS}.{LETTERS}", "JSON web token"),
    ],
)
@pytest.mark.parametrize("text", ["{}", "token={}", '"{}"', "401 for url/{}.", "x:{},y"])
def test_well_known_tokens_are_taken_out(token, name, text):
    shown = redact(text.format(token), {})
    assert shown == text.format(f"[redacted {name}]")


def test_passwords_of_addresses_and_headers_are_taken_out():
    address = redact("cannot reach https://me:hunter2@host.org/x", {})
    assert address == "cannot reach https://[redacted password]@host.org/x"
    assert "abcdef" not in redact("Authorization: Bearer abcdef0123456789abcdef", {})
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"
    assert redact(f"a {key} b", {}) == "a [redacted private key] b"


def test_values_of_variables_whose_names_say_so_are_secret():
    environment = {
        "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
        "MY_PASSWORD": "correct horse",
        "DB_PASSWORD_2": "battery.staple",
        "CLIENT_SECRET": "öffne-dich",
        "GITHUB_PAT": "something9",
        "SIGNING_KEY": "-----BEGIN-----\nfirstline\nsecondline",
        # none of these is a secret
        "TOKENIZERS_PARALLELISM": "false-and-more",
        "KEYBOARD_LAYOUT": "de-latin1",
        "HF_TOKEN_PATH": "/home/me/token-file",
        "PATH": "/usr/bin:/opt/tools",
        "SSH_KEY": "/home/me/.ssh/id_rsa",
        "SHORT_KEY": "start",
        "PIN_TOKEN": "12345678",
        "HOME": "/home/somebody",
    }
    text = " ".join(value.replace("\n", " ") for value in environment.values())
    shown = redact(text, environment)
    for name in ("WANDB_API_KEY", "MY_PASSWORD", "DB_PASSWORD_2", "CLIENT_SECRET", "GITHUB_PAT"):
        assert environment[name] not in shown
        assert f"[redacted {name}]" in shown
    assert "secondline" not in shown
    assert set(secrets(environment).values()) == {
        "WANDB_API_KEY", "MY_PASSWORD", "DB_PASSWORD_2", "CLIENT_SECRET", "GITHUB_PAT",
        "SIGNING_KEY",
    }  # fmt: skip
    for value in list(environment.values())[6:]:
        assert value in shown


def test_a_longer_secret_is_taken_out_before_a_part_of_it():
    environment = {"A_KEY": "abcd1234", "B_KEY": "abcd1234-and-more"}
    assert redact("abcd1234-and-more", environment) == "[redacted B_KEY]"


def test_a_value_of_json_is_redacted_in_every_text_and_key():
    given = {"a": [1, None, f"hf_{LETTERS}"], f"sk-{LETTERS}": {"b": True}}
    hub = "[redacted Hugging Face token]"
    assert redacted(given, {}) == {"a": [1, None, hub], "[redacted API key]": {"b": True}}


def test_no_text_about_mathematics_is_touched():
    root = Path(__file__).parents[1]
    texts = [path.read_text(encoding="utf-8") for path in sorted((root / "docs").glob("*.md"))]
    texts.append((Path(__file__).parent / "support" / "verify_cases.jsonl").read_text())
    texts += [
        r"The sk-th term is $a_{sk-1} = 3^{sk}$, task-12345678901234567890ABC",
        "sha256 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "hf_hub_download, sk-learn-based-models-of-the-second-kind, ratio 3:4 at 5://6",
        "KEY = 12345678; the password is a digit; token 128000",
    ]
    for text in texts:
        assert redact(text, {}) == text


def test_a_log_is_cleaned_in_place_and_only_if_need_be(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"fine \xff\r\n" + f"token hf_{LETTERS}\n".encode())
    path.chmod(0o640)
    assert redact_file(path, {})
    assert path.read_bytes() == b"fine \xff\r\ntoken [redacted Hugging Face token]\n"
    assert path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_ino
    assert not redact_file(path, {})
    assert path.stat().st_ino == before
    assert not redact_file(tmp_path / "gone.txt", {})
    assert [one.name for one in tmp_path.iterdir()] == ["log.txt"]


def test_a_hostile_text_is_read_in_linear_time():
    """Where each start of a token were followed to the end, this would take hours."""
    for part in (
        "sk-",
        "-eyJ",
        "://a:",
        "Bearer ",
        "_hf_",
        "-----BEGIN ",
        "-xoxb-",
        ".eyJaaaaaaaaaa",
    ):
        text = part * (2**20 // len(part))
        assert redact(text, {}) is not None


HOSTILE = ("\x1b", "\x07", "\u202e", "\u2066")  # escape codes, a bell, text that runs backwards


def texts_below(folder: Path) -> dict[Path, str]:
    binary = (".safetensors", ".lock")
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in binary]
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in files}


@pytest.mark.promise("A secret that a trainer quotes is in no log, record, page or message")
@pytest.mark.bench
def test_nothing_that_a_trainer_quotes_leaves_its_place(
    small_board, harness, tmp_path, monkeypatch
):
    """A secret is in no file and no message; no message moves a terminal or breaks a page."""
    monkeypatch.setenv("LEAKED_TOKEN", secret := "open-sesame-0123")
    text = small_board.read_text().replace("[compute]", '[compute]\nenvironment = ["LEAKED_TOKEN"]')
    small_board.write_text(text)
    plugins = ("--plugins", "unruly-leak,unruly-tell", "--seeds", "0")
    done = harness("bench", "small.toml", *plugins, check=1)
    published = harness("publish", "small.toml", "--out", "pages")
    harness("report", "small.toml", "--out", "report.html")
    shown = done.stdout + done.stderr + published.stdout + published.stderr
    assert "[redacted LEAKED_TOKEN]" in shown
    found = texts_below(tmp_path / "runs") | texts_below(tmp_path / "pages")
    found[tmp_path / "report.html"] = (tmp_path / "report.html").read_text(encoding="utf-8")
    for where, text in {**found, "shown": shown}.items():
        assert secret not in text, where
    pages = {path: text for path, text in found.items() if path.suffix in (".md", ".csv", ".html")}
    assert len(pages) > 4
    for where, text in {**pages, "shown": shown}.items():
        for character in HOSTILE:
            assert character not in text, where
        assert str(tmp_path) not in text or where == "shown", where
    records = {record.trainer: record for record in read_records(tmp_path / "runs/small/records")}
    assert "401 for [redacted LEAKED_TOKEN]" in records["unruly-leak"].error
    notes = records["unruly-tell"].stages[0].notes
    assert notes["hub"] == [{"token": "[redacted LEAKED_TOKEN]"}]
    assert "'" not in "".join(
        note
        for row in json.loads(found[tmp_path / "pages" / "small.json"])["rows"]
        for note in row["notes"]
    )
