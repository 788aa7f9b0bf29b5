"""What a child of `noburn run` is told, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noburn_cli.enforce.launch import (
    INJECT_FOLDER,
    NAMED_ATTRIBUTES,
    NODE_PRELOAD,
    LaunchSettings,
    child_environment,
    run_attributes,
    run_path,
    without_coerced_locale,
)
from noburn_cli.errors import UsageError
from noburn_cli.providers.registry import host_facts

BASE = {"PATH": "/bin", "EDITOR": "vi"}
NOT_GIVEN = dict.fromkeys(NAMED_ATTRIBUTES)


def told(base: dict[str, str], settings: LaunchSettings | None = None) -> dict[str, str]:
    return child_environment(
        base,
        settings or LaunchSettings(),
        run="r1",
        home=Path("/home"),
        daemon_command=["python", "-m", "noburn_daemon"],
    )


def test_a_plain_run_adds_the_hook_and_who_it_is() -> None:
    assert told(BASE) == {
        **BASE,
        "PYTHONPATH": str(INJECT_FOLDER),
        "NODE_OPTIONS": f'--require "{NODE_PRELOAD}"',
        "NOBURN_PROVIDER_HOSTS": json.dumps(host_facts()),
        "NOBURN_GUARD": "1",
        "NOBURN_HOME": "/home",
        "NOBURN_RUN": "r1",
        "NOBURN_DAEMON": '["python", "-m", "noburn_daemon"]',
        "NOBURN_POLICY": "{}",
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("/a:/b", ":/a:/b"),
        (f"{INJECT_FOLDER}:/a", ":/a"),
        # Empty entries mean the working folder.
        (":/a", "::/a"),
        ("/a:", ":/a:"),
    ],
)
def test_the_hook_comes_first_and_once(before: str, after: str) -> None:
    assert told({"PYTHONPATH": before})["PYTHONPATH"] == f"{INJECT_FOLDER}{after}"


def test_flags_beat_the_environment_and_the_rest_is_inherited() -> None:
    outer = {
        "NOBURN_WAIT_S": "3",
        "NOBURN_CLAMP": "0",
        "NOBURN_OUTPUT_FLOOR": "64",
        "NOBURN_LOWER_CAPS": "1",
    }
    assert outer.items() <= told(outer).items()
    changed = told(outer, LaunchSettings(wait_s=0.5, clamp=True, lower_caps=False, output_floor=9))
    assert [changed[name] for name in outer] == ["0.5", "1", "9", "0"]


def test_attributes_come_from_the_environment_and_flags_win() -> None:
    outer = {
        "NOBURN_PROJECT": "p",
        "NOBURN_CUSTOMER": "outer",
        "NOBURN_FEATURE": "f",
        "NOBURN_TAGS": '{"team": "a", "n": 1}',
    }
    attributes = run_attributes(
        outer, named={**NOT_GIVEN, "customer": "acme", "feature": ""}, tags={"team": "b"}
    )
    assert attributes == {"project": "p", "customer": "acme", "tag.n": "1", "tag.team": "b"}
    after = told(outer, LaunchSettings(attributes=attributes))
    assert after["NOBURN_CUSTOMER"] == "acme"
    assert "NOBURN_FEATURE" not in after, "an empty flag takes the environment's away"
    assert json.loads(after["NOBURN_TAGS"]) == {"n": "1", "team": "b"}


@pytest.mark.parametrize("tags", ["{", "[]", "3", '{"a": {}}', '{"a": []}', "[" * 100_000])
def test_tags_that_cannot_be_read_are_a_usage_error(tags: str) -> None:
    with pytest.raises(UsageError, match="NOBURN_TAGS"):
        run_attributes({"NOBURN_TAGS": tags}, named=NOT_GIVEN, tags={})


@pytest.mark.parametrize("customer", ["*", "each", "a\nb", "x" * 10_000])
def test_a_value_that_cannot_be_stored_is_a_usage_error(customer: str) -> None:
    with pytest.raises(UsageError):
        run_attributes({}, named={**NOT_GIVEN, "customer": customer}, tags={})


def test_a_run_in_a_run() -> None:
    assert run_path("r2", {}) == "r2"
    assert run_path("r2", {"NOBURN_RUN": "r0/r1"}) == "r0/r1/r2"


@pytest.mark.parametrize(
    ("started_with", "kept"),
    [(b"PATH=/bin\0", False), (b"LC_CTYPE=C.UTF-8\0PATH=/bin\0", True), (None, True)],
)
def test_the_locale_that_our_interpreter_set_is_not_passed_on(
    started_with: bytes | None, kept: bool
) -> None:
    environment = without_coerced_locale({**BASE, "LC_CTYPE": "C.UTF-8"}, started_with)
    assert ("LC_CTYPE" in environment) is kept
    assert BASE.items() <= environment.items()
    ours = {"LC_CTYPE": "de_DE.UTF-8"}
    assert without_coerced_locale(ours, b"") == ours
