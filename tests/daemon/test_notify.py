"""Messages that go out: signed, once each, again when a receiver fails, by one that hangs too."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.core.service_keys import TIMEOUT_S_MAX, Channel
from noburn_daemon import notices, webhook
from noburn_daemon.hook_command import Commands
from noburn_daemon.webhook import SecretUnusable, outcome_of, post, secrets_of, signature
from tests.daemon.parts import Caller, Running, daemon, eventually
from tests.daemon.receivers import SECRET, receiver
from tests.daemon.test_settings import configure


def script(folder: Path, text: str) -> str:
    path = folder / "hook.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_the_signature_is_the_specifications() -> None:
    """The worked example of the reference library's own tests, by Standard Webhooks 1.0.0."""
    secret = secrets_of(
        Channel("x", url="https://x", secret_env="S"),
        {"S": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
    )
    said = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    two = secrets_of(Channel("x", url="https://x", secret_env="S"), {"S": f"{SECRET} {SECRET}"})
    assert len(signature(two, "m", 1, b"").split()) == 2


def test_a_secret_that_cannot_sign_says_why(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    by_file = Channel("x", url="https://x", secret_file=str(file))
    for text, mode, why in (
        (None, 0, "No such file"),
        (SECRET, 0o644, "chmod 600"),
        ("whsec_c2hvcnQ=", 0o600, "24 to 64"),
        ("plain", 0o600, "whsec_"),
        ("", 0o600, "0 secrets"),
    ):
        if text is not None:
            file.write_text(text)
            file.chmod(mode)
        with pytest.raises(SecretUnusable, match=why) as caught:
            secrets_of(by_file, {})
        assert not text or text not in str(caught.value)
    with pytest.raises(SecretUnusable, match="S is not set"):
        secrets_of(Channel("x", url="https://x", secret_env="S"), {})


def test_what_answers_mean() -> None:
    assert not outcome_of(202, None, now_s=0).failure
    assert outcome_of(410, None, now_s=0).gone
    assert "redirects" in outcome_of(302, None, now_s=0).failure
    assert outcome_of(503, "120", now_s=0).retry_after_ms == 120_000
    at = "Fri, 27 Nov 2026 12:00:30 GMT"
    assert outcome_of(429, at, now_s=1_795_780_800).retry_after_ms == 30_000
    assert outcome_of(429, "soon", now_s=0).retry_after_ms == 0
    assert outcome_of(429, "9" * 400, now_s=0).retry_after_ms == 0
    assert outcome_of(429, "999999", now_s=0).retry_after_ms == notices.RETRY_AFTER_MS_MAX


def test_attempts_take_a_day() -> None:
    waits = [notices.delay_ms(n, 0.5) for n in range(1, notices.ATTEMPTS_MAX)]
    assert waits[:3] == [5_000, 10_000, 20_000]
    assert 24 < sum(waits) / 3_600_000 < 25
    assert notices.delay_ms(1, 0.0) == 3_750


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_nothing_is_sent_without_a_certificate_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate nobody signed is no receiver; signed by one of ours, it is.

    The time limit is the longest there is, and no name is looked up: what `localhost` is, and what
    else listens there, is the machine's.
    """

    def made(address: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        """A server's context, and one that trusts its certificate, which is for that address."""
        key, certificate = tmp_path / "key", tmp_path / "certificate"
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
                "-addext", f"subjectAltName=IP:{address}",
                "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
        subprocess.run(make, check=True, capture_output=True, timeout=120)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        return tls, ssl.create_default_context(cafile=str(certificate))

    def said(url: str) -> str:
        channel = Channel("x", url=url, secret_env="S", timeout_s=TIMEOUT_S_MAX)
        return post(channel, "m", b"{}", {"S": SECRET}).failure

    tls, trusting = made("127.0.0.1")
    with receiver(tls=tls) as strange:
        assert "certificate" in said(strange.url)
        assert strange.got == []
        monkeypatch.setattr(webhook, "_tls", lambda: trusting)
        assert said(strange.url) == ""
        assert len(strange.got) == 1
    tls, trusting_another = made("192.0.2.1")
    monkeypatch.setattr(webhook, "_tls", lambda: trusting_another)
    with receiver(tls=tls) as other:
        assert "certificate" in said(other.url)
        assert other.got == []


def test_redirects_lead_nowhere_and_time_is_limited() -> None:
    with receiver((302, {"location": "http://127.0.0.1:1/"})) as plain:
        env = {"S": SECRET}
        assert "302" in post(Channel("x", url=plain.url, secret_env="S"), "m", b"{}", env).failure
        assert len(plain.got) == 1
        plain.held.clear()
        slow = Channel("x", url=plain.url, secret_env="S", timeout_s=0.3)
        assert "0.3 s" in post(slow, "m", b"{}", env).failure


def test_a_command_gets_the_message_and_no_key(tmp_path: Path) -> None:
    body = notices.payload_text("test", 0, {"message": "a; $(b)\n", "percent": 80}).encode()
    out = tmp_path / "out"
    shown = "$NOBURN_NOTIFY_PERCENT|$NOBURN_NOTIFY_MESSAGE|$1|$OPENAI_API_KEY"
    text = f'{{ cat; echo "{shown}"; }} > {out}'
    channel = Channel("x", command=(script(tmp_path, text), "$HOME *"))
    own = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "sk-real"}
    assert Commands().run(channel, "msg_1", body, own).failure == ""
    first, _, rest = out.read_text().partition("\n")
    assert json.loads(first) == json.loads(body)
    assert rest == "80|a; $(b)\n|$HOME *|\n"
    failing = Channel("x", command=(script(tmp_path, "echo no luck >&2; exit 3"),))
    assert Commands().run(failing, "m", body, own).failure == "it ended with 3: no luck"
    assert "started" in Commands().run(Channel("x", command=("/none",)), "m", body, own).failure


def test_a_command_that_hangs_is_killed_with_its_group(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = (script(tmp_path, f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"),)
    body = notices.payload_text("test", 0, {}).encode()
    for timeout_s in (0.5, 2.0, 8.0, 30.0):  # until the command had the time to come so far
        channel = Channel("x", command=command, timeout_s=timeout_s)
        assert "killed" in Commands().run(channel, "m", body, dict(os.environ)).failure
        if pid.exists():
            break
    child = int(pid.read_text())
    eventually(lambda: not _runs(child), "the command's own child is gone")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def channels(running: Running, **urls: str) -> None:
    secret = running.home / "secret"
    secret.write_text(SECRET)
    secret.chmod(stat.S_IRUSR | stat.S_IWUSR)
    tables = [
        f'[notify.{name}]\nurl = "{url}"\nsecret_file = "{secret}"\n' for name, url in urls.items()
    ]
    configure(running.home, '[daemon]\nlog_level = "debug"\n' + "".join(tables))


def listed(caller: Caller) -> dict[str, dict[str, Any]]:
    return {m["key"]: m for m in caller.ask(n=1, op="notify.list")["messages"]}


def test_a_slow_receiver_holds_up_nobody_and_nothing_is_lost_by_kill() -> None:
    """Goal: each message arrives, though the daemon dies with one sent and one unsent."""
    with receiver() as slow, receiver() as quick, daemon() as running:
        channels(running, slow=slow.url, quick=quick.url)
        caller = Caller(running.home)
        assert caller.ask(n=1, op="notify.test", channel="nope")["error"] == "not_found"
        assert caller.ask(n=1, op="reload")["changed"] == [
            *("daemon.log_level", "notify.quick", "notify.slow"),
        ]
        slow.held.clear()
        first, second = (caller.ask(n=1, op="notify.test", channel="slow")["key"] for _ in "ab")
        eventually(lambda: slow.keys() == [first], "the first is under way")
        other = caller.ask(n=1, op="notify.test", channel="quick")["key"]
        eventually(lambda: quick.keys() == [other], "another channel waits for nobody")
        eventually(lambda: listed(caller)[other]["delivered_at_ms"], "and that is on record")
        assert caller.reserve("a1")["ok"]
        running.kill()
        slow.held.set()
        running.start()
        caller = Caller(running.home)
        eventually(lambda: set(slow.keys()) == {first, second}, "both have arrived")
        eventually(
            lambda: all(one["delivered_at_ms"] for one in listed(caller).values()), "recorded"
        )
        assert slow.keys().count(first) == 2  # at least once, and told by its id
        assert all(one.is_signed() for one in (*slow.got, *quick.got))
        assert slow.got[0].document["type"] == "test"
        assert all(one["payload"] == "" for one in listed(caller).values())
        assert quick.keys() == [other]


def test_what_fails_is_tried_again_then_listed_and_retried_by_hand() -> None:
    with receiver((503, {"retry-after": "3600"}), (410, {})) as gone, daemon() as running:
        channels(running, ops=gone.url)
        caller = Caller(running.home)
        caller.ask(n=1, op="reload")
        caller.budget("global", 10**9)
        before = time.time() * 1000
        key = caller.ask(n=1, op="notify.test", channel="ops")["key"]
        eventually(lambda: listed(caller)[key]["given_up_at_ms"], "a test is tried once")
        assert "503" in listed(caller)[key]["failure"]
        assert "1 notification given up" in caller.ask(n=1, op="status")["warnings"][0]
        assert caller.ask(n=1, op="notify.retry")["retried"] == 1
        eventually(lambda: "410" in listed(caller)[key]["failure"], "tried by hand")
        assert caller.ask(n=1, op="notify.retry", channels=["ops"])["retried"] == 1
        eventually(lambda: listed(caller)[key]["delivered_at_ms"], "delivered at last")
        assert gone.keys() == [key] * 3
        assert listed(caller)[key]["delivered_at_ms"] > before


def test_who_retries_while_an_attempt_hangs_waits_as_after_a_first_one() -> None:
    """An attempt of before that fails only now leaves no wait of an hour behind."""
    with receiver(*[(503, {})] * 5) as slow, daemon() as running:
        channels(running, ops=slow.url)
        running.kill()
        with contextlib.closing(apsw.Connection(str(running.home / "ledger.sqlite3"))) as ledger:
            ledger.execute(
                "INSERT INTO outbox (key, at_ms, channel, kind, payload, attempts, next_at_ms)"
                " VALUES ('k', 0, 'ops', 'threshold', '{}', 12, 0)"
            )
        slow.held.clear()
        running.start()
        caller = Caller(running.home)
        eventually(lambda: len(slow.got) == 1, "the thirteenth attempt is under way")
        assert caller.ask(n=1, op="notify.retry")["retried"] == 1
        slow.held.set()
        eventually(lambda: listed(caller)["k"]["failure"], "it failed")
        wait_ms = listed(caller)["k"]["next_at_ms"] - time.time() * 1000
        assert wait_ms < notices.DELAY_MS_MAX / 2
