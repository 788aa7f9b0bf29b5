"""Which value wins, and what a project's file may say before it is trusted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noburn_cli import paths, prices, trust
from noburn_cli.config_files import config_folder
from noburn_cli.core.money import parse_limit
from noburn_cli.enforce.policy import VARIABLE, policy, read_policy
from noburn_cli.errors import PriceBookInvalid, UsageError
from noburn_cli.providers.registry import Upstream
from noburn_cli.settings import DEFAULT, Settings, load, own_policy, policy_text
from tests.core.configurations import WHOLE


class Place:
    """A home and a project, each with the configuration that a test writes."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.project = root / "project"
        self.inside = self.project / "a" / "b"
        self.inside.mkdir(parents=True)
        self.environment = {"NOBURN_HOME": str(self.home)}

    def user_says(self, text: str) -> None:
        path = self.home / "config" / "noburn.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    @property
    def file(self) -> Path:
        return self.project / "noburn.toml"

    def project_says(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    def trust(self) -> None:
        text = self.file.read_text(encoding="utf-8")
        record = trust.Trusted(str(self.file), trust.digest_of(text), "2026-11-27", text)
        trust.write_trusted(self.home, [record])

    def load(self, flags: dict[str, object] | None = None, **variables: str) -> Settings:
        return load({**self.environment, **variables}, self.inside, flags)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_flag_beats_the_environment_beats_the_project_beats_the_user(place: Place) -> None:
    assert place.load().values["run.wait"].origin == DEFAULT
    place.user_says("[run]\nwait = 20")
    assert place.load().value("run.wait") == 20
    place.project_says("[run]\nwait = 10")
    found = place.load()
    assert (found.value("run.wait"), found.values["run.wait"].origin) == (10, str(place.file))
    assert found.chosen("run.wait") == 10
    found = place.load(NOBURN_WAIT_S="40")
    assert (found.value("run.wait"), found.values["run.wait"].origin) == (40, "NOBURN_WAIT_S")
    assert found.chosen("run.wait") is None  # The children read the variable themselves.
    found = place.load({"run.wait": 50.0, "run.clamp": None}, NOBURN_WAIT_S="40")
    assert (found.value("run.wait"), found.values["run.wait"].origin) == (50, "--wait")


def test_every_variable_is_read(place: Place) -> None:
    found = place.load(
        NOBURN_BUDGET="2Mtok",
        NOBURN_CLAMP="0",
        NOBURN_LOWER_CAPS="1",
        NOBURN_OUTPUT_FLOOR="64",
        NOBURN_ON_EXCEED="kill",
        NOBURN_ON_ABORT="drain",
        NOBURN_CUSTOMER="acme",
        NOBURN_FEATURE="",
    )
    assert found.value("run.budget") == parse_limit("2Mtok")
    assert (found.value("run.clamp"), found.value("run.lower_caps")) == (False, True)
    assert (found.value("run.floor"), found.value("run.on_exceed")) == (64, "kill")
    assert found.value("run.on_abort") == "drain"
    assert found.value("attributes.customer") == "acme"
    assert found.values["attributes.feature"].origin == DEFAULT


@pytest.mark.parametrize(
    ("name", "text"),
    [("NOBURN_WAIT_S", "soon"), ("NOBURN_CLAMP", "maybe"), ("NOBURN_ON_ABORT", "forget")],
)
def test_a_variable_that_cannot_be_read_is_named(place: Place, name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        place.load(**{name: text})


def test_an_untrusted_project_may_only_tighten(place: Place) -> None:
    place.user_says('[run]\nbudget = "$5"\n[attributes]\ncustomer = "acme"')
    place.project_says(
        '[run]\nbudget = "$2"\nwait = 60\n[attributes]\nproject = "p"\ncustomer = "b"\n'
        '[ceilings]\nweb_search = "$1"\n'
        '[[endpoint]]\nname = "x"\nbase_url = "http://x/v1"\napi = "openai"\nprices = "free"\n'
    )
    found = place.load()
    assert found.value("run.budget") == parse_limit("2")
    assert found.value("run.wait") == 30
    assert (found.value("attributes.project"), found.value("attributes.customer")) == ("p", "acme")
    assert found.ignored == (
        "run.wait",
        "attributes.customer",
        "ceilings.web_search",
        "endpoint.x",
    )
    assert found.endpoints() == []
    assert json.loads(policy_text(found))["ceilings"] == {}
    said = "\n".join(found.remarks())
    assert str(place.file) in said
    assert "endpoint.x" in said
    assert "noburn trust" in said

    place.trust()
    found = place.load()
    assert (found.trusted, found.ignored, found.remarks()) == (True, (), [])
    assert found.value("run.wait") == 60
    assert [one.name for one in found.endpoints()] == ["x"]

    place.project_says(place.file.read_text(encoding="utf-8") + "# changed\n")
    found = place.load()
    assert (found.trusted, found.changed) == (False, True)
    assert "endpoint.x" in found.ignored
    assert "has changed" in found.remarks()[0]


def test_a_limit_that_can_be_neither_applied_nor_ignored_is_refused(place: Place) -> None:
    place.user_says('[run]\nbudget = "$5"')
    place.project_says('[run]\nbudget = "2Mtok"')
    with pytest.raises(UsageError, match=r"run\.budget"):
        place.load()
    assert place.load({"run.budget": parse_limit("1")}).value("run.budget") == parse_limit("1")
    place.trust()
    assert place.load().value("run.budget") == parse_limit("2Mtok")


@pytest.mark.parametrize("text", ["[run", "[run]\nwiat = 3", "\x00"])
def test_a_broken_project_file_stops_everything(place: Place, text: str) -> None:
    place.project_says(text)
    with pytest.raises(UsageError, match=str(place.file)):
        place.load()


def test_the_users_own_file_is_no_project(place: Place) -> None:
    place.user_says("[run]\nwait = 90")
    folder = place.home / "config"
    found = load(place.environment, folder)
    assert (found.project, found.value("run.wait")) == (None, 90)


def test_the_policy_carries_what_guests_need(place: Place) -> None:
    place.user_says(WHOLE)
    found = read_policy(policy_text(place.load()))
    assert found.failure is None
    assert found.names == ("fast", "local", "gateway")
    assert found.endpoints[0] == Upstream(
        "openai", "https://llm.example/openai/v1", "groq", (("chat", "llama-3.3-70b-versatile"),)
    )
    assert found.ceilings == {"web_search": 2_000_000_000}
    assert (found.on_abort, found.notional) == ("drain", ("anthropic",))
    assert found.fields == {
        "user": "user",
        "safety_identifier": "tag.person",
        "metadata.user_id": "customer",
    }


def test_a_policy_that_no_variable_can_hold_is_refused(place: Place) -> None:
    one = (
        '[[endpoint]]\nname = "n{0}"\nbase_url = "http://h{0}/"\napi = "openai"\nprices = "free"\n'
    )
    place.user_says("".join(one.format(n) for n in range(1200)))
    with pytest.raises(UsageError, match="characters"):
        policy_text(place.load())


def test_a_program_of_its_own_reads_the_configuration(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("NOBURN_HOME", str(place.home))
    monkeypatch.chdir(place.inside)
    monkeypatch.setattr("noburn_cli.enforce.policy._read", ("", None))
    place.user_says(WHOLE)
    assert policy() == read_policy(own_policy())
    assert policy().names == ("fast", "local", "gateway")
    monkeypatch.setattr("noburn_cli.enforce.policy._read", ("", None))
    place.user_says("[run")
    assert policy().failure is not None
    assert "not TOML" in policy().failure.message


def test_endpoints_of_trusted_projects_are_in_the_book(place: Place) -> None:
    place.project_says(WHOLE)
    before = prices.load_book(place.environment)
    place.trust()
    book = prices.load_book(place.environment)
    assert book.version != before.version
    assert book.resolve("local/anything").provider == "local"
    assert [origin for origin, _ in book.texts][1:] == [
        f"endpoint `local` of {place.file}",
        f"endpoint `gateway` of {place.file}",
    ]
    # What was accepted holds until somebody accepts what it says now.
    place.project_says(WHOLE.replace("input = 0.5", "input = 0"))
    assert prices.load_book(place.environment).version == book.version


def test_one_name_at_two_prices_is_an_error(place: Place) -> None:
    place.project_says(WHOLE)
    place.trust()
    place.user_says(WHOLE)
    assert prices.load_book(place.environment).resolve("local/x")
    place.user_says(WHOLE.replace("input = 0.5", "input = 0.6"))
    with pytest.raises(PriceBookInvalid, match="`gateway`"):
        prices.load_book(place.environment)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 2, "files": []}',
        '{"format": 1, "files": [{"path": "/a"}]}',
        '{"format": 1, "files": [{"path": "/a", "digest": "0", "trusted_on": "", "text": ""}]}',
        '{"format": 1, "files": [{"path": 1, "digest": "0", "trusted_on": "", "text": ""}]}',
    ],
)
def test_a_damaged_record_trusts_nothing(place: Place, text: str) -> None:
    place.project_says("")
    place.home.mkdir()
    paths.trust_path(place.home).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="trusted"):
        place.load()


def test_the_record_is_its_owners_alone(place: Place) -> None:
    place.project_says(WHOLE)
    place.trust()
    assert paths.trust_path(place.home).stat().st_mode & 0o777 == 0o600
    assert list(place.home.iterdir()) == [paths.trust_path(place.home)]


def test_the_systems_own_home_does_not_move_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The daemon is always told its home; the files it reads are the person's all the same."""
    told = {"NOBURN_HOME": str(paths.default_home())}
    assert config_folder(told) == config_folder({})
    assert config_folder({"NOBURN_HOME": "/elsewhere"}) == Path("/elsewhere/config")
