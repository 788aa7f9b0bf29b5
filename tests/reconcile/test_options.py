"""What a person says to `ledger reconcile`: columns, keys, days, tolerance; what is wrong."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from noburn_cli.commands.ledger import app
from noburn_cli.commands.ledger import reconcile_options as options
from noburn_cli.errors import NoburnError, UsageError
from tests.reconcile.test_formats import CLAUDE_COST, OPENAI_ACTIVITY, OPENAI_COSTS

CONFIGURATION = """
[reconcile.openai]
keys = { key_abc = "customer=acme", proj_x = "project=shop,feature=chat" }

[reconcile.proxy]
columns = { day = "time", model = "model", cost = "usd" }
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_configuration_names_columns_and_keys(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from noburn_cli.config_files import user_path

    path = user_path({"NOBURN_HOME": str(home / "home"), "XDG_CONFIG_HOME": str(home / "config")})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CONFIGURATION)
    plain = options.read_table(None, None)
    assert (plain.columns, plain.keys["key_abc"]) == (None, {"customer": "acme"})
    assert plain.keys["proj_x"] == {"project": "shop", "feature": "chat"}
    proxy = options.read_table("proxy", None)
    assert (proxy.columns, proxy.keys) == ({"day": "time", "model": "model", "cost": "usd"}, {})
    with pytest.raises(UsageError, match="has no"):
        options.read_table("missing", None)
    path.write_text('[reconcile.openai]\nkey = { a = "customer=x" }\n')
    with pytest.raises(UsageError, match="there is no key 'key'"):
        options.read_table(None, None)
    path.write_text('[reconcile.openai]\nkeys = { a = "customer=*" }\n')
    with pytest.raises(UsageError, match="family"):
        options.read_table(None, None)


def test_days_keys_and_tolerance() -> None:
    assert options.read_scopes(["k=customer=acme"]) == {"k": {"customer": "acme"}}
    for wrong in ("k", "k=acme", "k=customer=*", "k=custmer=x"):
        with pytest.raises(UsageError):
            options.read_scopes([wrong])
    assert options.read_tolerance("$0.05") == (50_000_000, Fraction(0))
    assert options.read_tolerance("0.1%") == (0, Fraction(1, 1000))
    terms = options.read_terms("2026-10-01", "2026-10-31", {})
    assert (terms.first, terms.last) == ("2026-10-01", "2026-10-31")
    for first, last in (("2026-10-02", "2026-10-01"), ("october", None)):
        with pytest.raises(UsageError):
            options.read_terms(first, last, {})


def refused(*arguments: str) -> NoburnError:
    done: Any = CliRunner().invoke(app, ["reconcile", *arguments])
    assert isinstance(done.exception, NoburnError), done.output
    assert done.output == ""
    return done.exception


def test_what_is_not_compared(home: Path) -> None:
    for name, text in (("c", OPENAI_COSTS), ("again", OPENAI_COSTS), ("a", OPENAI_ACTIVITY)):
        (home / name).write_text(text)
    (home / "other").write_text(OPENAI_COSTS.replace("0.0038", "0.0039"))
    (home / "claude").write_text(CLAUDE_COST)
    assert "no export is named" in refused().message
    assert "is the same export as" in refused("c", "again").message
    assert "both have costs of 2026-09-28" in refused("c", "other").message
    assert "is an export of anthropic" in refused("claude", "--provider", "openai").message
    assert "unknown provider" in refused("c", "--provider", "openia").message
    assert "--undo stands alone" in refused("c", "--undo", "x").message
    assert "--apply books" in refused("c", "--apply", "--dry-run").message
    assert "cannot be read" in refused("missing").message
    assert "OPENAI_ADMIN_KEY is not set" in refused("openai").message
    assert "there is no ledger" in refused("c", "a").message
