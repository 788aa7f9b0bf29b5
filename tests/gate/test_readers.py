"""Where prompts are: text, templates, YAML, JSON and Python; what is said of bad ones."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from noburn_cli import ranks
from noburn_cli.main import main
from tests.gate.repository import Done, Repo, gate_toml, words

_TERMS = 'model = "test-small"\noutput = 5\n'


def table(files: str, *lines: str, terms: str = _TERMS) -> str:
    return "\n".join((f"files = {files}", terms, *lines))


def sizes(done: Done) -> dict[str, int]:
    return {one["name"]: one["after"]["input_tokens"]["high"] for one in done.data["changes"]}


def refused(done: Done) -> dict[str, str]:
    """What each subject is refused for; nothing else may be found."""
    assert done.code == 3
    assert {one["rule"] for one in done.data["findings"]} <= {"readable", "found", "known"}
    return {one["subject"]: one["text"] for one in done.data["findings"]}


def count(text: str) -> int:
    return ranks.count("o200k_base", text)


def test_patterns_choose_files(repo: Repo) -> None:
    repo.write({".gitignore": "build/\n"})
    repo.commit(
        {
            "noburn.toml": gate_toml(
                "",
                table('["p/**/*.md", "!p/drafts/*", "!**/x[0-9].md"]'),
                table('["**/c?.text"]'),
            ),
            **dict.fromkeys(("p/a.md", "p/deep/er/b.md", "p/drafts/c.md", "p/x1.md"), words(3)),
            **dict.fromkeys(("p/sub.md/no.txt", "c1.text", "c10.text"), words(4)),
        }
    )
    # What git ignores is found by no pattern; what is new, before it is added.
    repo.write({"build/c1.text": words(6), "p/new.md": words(7)})
    repo.write({"p/x1.md": None})
    found = sizes(repo.judged())
    assert found == {
        "p/a.md": 3,
        "p/deep/er/b.md": 3,
        "p/new.md": 7,
        "c1.text": 4,
    }


def test_what_is_not_there_is_not_passed_over(repo: Repo) -> None:
    (repo.path / "out").symlink_to("/etc/hostname")
    (repo.path / "in").symlink_to("real.md")
    repo.write({"real.md": words(8), "bad.md": b"\xff\xfe\x00", "nul.md": b"a\0b"})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    repo.write({"lfs.md": pointer})
    names = '["none.md", "no/*.md", "out", "in", "bad.md", "nul.md", "lfs.md"]'
    repo.commit({"noburn.toml": gate_toml("", table(names))})
    for done in (repo.judged(), repo.judged("--head", "HEAD")):
        found = refused(done)
        assert set(found) == {"none.md", "no/*.md", "out", "bad.md", "nul.md", "lfs.md"}
        assert "matches no file" in found["no/*.md"]
        assert "git lfs pull" in found["lfs.md"]
        assert sizes(done) == {"in": 8}
    assert "leads out of the repository" in refused(repo.judged())["out"]


def test_a_link_to_nothing_is_no_prompt_that_was_taken_out(repo: Repo) -> None:
    repo.commit({"noburn.toml": gate_toml("", table('["p/*.md", "alone.md"]')), "p/a.md": words(3)})
    for name, target in {"p/b.md": "gone.md", "p/c.md": "c.md", "alone.md": "x"}.items():
        (repo.path / name).symlink_to(target)
    (repo.path / "p/folder.md").symlink_to("../p")  # No file, but what is in it is found below.
    repo.commit({})
    for done in (repo.judged(), repo.judged("--head", "HEAD")):
        found = refused(done)
        assert set(found) == {"p/b.md", "p/c.md", "alone.md"}
        assert "leads to no file of the repository" in found["p/b.md"]
        assert sizes(done) == {"p/a.md": 3}


def test_what_a_sparse_checkout_leaves_out_was_not_taken_out(repo: Repo) -> None:
    files = {"p/a/a.md": words(3), "p/b/b.md": words(4), "p/b/old.md": words(5)}
    repo.commit({"noburn.toml": gate_toml("", table('["p/**/*.md", "p/b/b.md"]')), **files})
    repo.git("sparse-checkout", "set", "p/a")
    done = repo.judged("--base", "HEAD")
    found = refused(done)
    assert set(found) == {"p/b/b.md", "p/b/old.md"}
    assert "is not checked out" in found["p/b/b.md"]
    assert "sparse-checkout add" in found["p/b/b.md"]
    assert [one["name"] for one in done.data["changes"] if one["after"] is None] == []
    assert repo.judged("--head", "HEAD").code == 0


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_a_name_that_is_no_text_is_refused_and_not_printed(repo: Repo) -> None:
    (repo.path / os.fsdecode(b"\xff.md")).write_text(words(3))
    repo.write({"noburn.toml": gate_toml("", table('["*.md"]'))})
    assert "not UTF-8" in refused(repo.judged())["\\udcff.md"]


def test_templates_are_rendered_with_what_is_in_the_repository(repo: Repo) -> None:
    files = {
        "t/main.md.j2": "{% extends 'base.j2' %}{% block b %}{{ who }} {{ doc }}"
        "{% for r in rows %}{{ r.name }};{% endfor %}{% endblock %}",
        "t/base.j2": "<{% block b %}{% endblock %}>{% include 'shared/tail.j2' %}",
        "lib/shared/tail.j2": "tail\n",
        "doc.txt": words(50),
    }
    variables = 'variables = { who = "Ada", doc = { file = "doc.txt" }, rows = [{ name = "x" }] }'
    own = table('["t/*.md.j2"]', variables, 'root = "lib"')
    repo.commit({**files, "noburn.toml": gate_toml("", own)})
    text = f"<Ada {words(50)}x;>tail\n"
    assert sizes(repo.judged()) == {"t/main.md.j2": count(text)}
    # The base's template has the base's include.
    repo.write({"lib/shared/tail.j2": "a longer tail\n"})
    done = repo.judged("--base", "HEAD")
    more = count(text.replace("tail", "a longer tail")) - count(text)
    assert more > 0
    assert done.data["changes"][0]["causes"][0]["text"] == f"grew by {more} tokens"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ one }} {{ two.x }} {{ given }}", "`one`, `two`"),
        ("{% if %}", "a.j2:1 is no Jinja template"),
        ("{% include '../../etc/passwd' %}", "not in the repository"),
        ("{% include '/etc/passwd' %}", "not in the repository"),
        ("{{ ''.__class__.__mro__ }}", "sandbox keeps"),
        ("{{ cycler.__init__.__globals__.os.system('x') }}", "sandbox keeps"),
        ("{{ 'x' * 10**12 }}", "a product of more"),
        ("{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}", "more than 67,108,864"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{% include 'a.j2' %}", "includes itself"),
        ("{{ '%s' % given }}", "`%` on a text"),
    ],
)
def test_templates_that_cannot_be_rendered(repo: Repo, template: str, said: str) -> None:
    toml = gate_toml("", table('["a.j2"]', 'variables = { given = "g" }'))
    repo.write({"noburn.toml": toml, "a.j2": template})
    assert said in refused(repo.judged())["a.j2"]


_SECRET = "ghs_S3cretOfTheRunner"


def _leaks(files: str = '["a.j2"]', file: str = "secret.txt") -> str:
    return gate_toml("", table(files, f'variables = {{ x = {{ file = "{file}" }} }}'))


_SAYING = [
    "{% include x %}",
    "{% include x ~ '/../broken.j2' %}",
    "{% include x ~ '/../loud.md' %}",
    "{% import 'macros.j2' as m %}{{ m[x] }}",
    "{{ ({})[x].y }}",
    "{{ x|attr(x) + 1 }}",
    "{{ [1]|map(x)|list }}",
    "{{ [1]|select(x)|list }}",
    "{{ self.blocks[x] }}",
    "{{ namespace(a=1)[x].b }}",
    "{{ x|int(x) // 0 }}",
    "{{ {}.pop(x) }}",
    "{{ x.format(1).encode(x) }}",
    "{{ '{0.a}'.format(x) }}",
    "{{ x.index('~' ~ x) }}",
    "{{ x|round(method=x) }}",
    "{{ x|tojson(indent=x) }}{{ x|replace(x) }}",
    "{{ ''|wordwrap(0, wrapstring=x) }}{{ x * x }}",
    "{{ [x]|xmlattr }}{{ {x ~ ' ': 1}|xmlattr }}",
    "{% macro m() %}{% endmacro %}{{ m(**{x: 1}) }}",
    "{% from x import y %}",
    "{% extends x %}",
]


def test_no_value_of_a_template_reaches_a_message(repo: Repo) -> None:
    repo.write({f"{number}.j2": template for number, template in enumerate(_SAYING)})
    repo.write({"noburn.toml": _leaks('["[0-9]*.j2"]'), "secret.txt": _SECRET})
    repo.write({"broken.j2": "{% if %}", "loud.md": b"\xff\xfe", "macros.j2": "{{ 1 }}"})
    done = repo.judged("--save", "markdown=page.md", "--save", "github=log.txt")
    assert len(refused(done)) == len(_SAYING)
    written = [(repo.path / name).read_text() for name in ("page.md", "log.txt")]
    assert _SECRET not in "".join((done.out, done.err, *written))


def test_what_git_ignores_is_not_read_by_any_name(repo: Repo) -> None:
    repo.write({".gitignore": ".env\nkeys/\n", ".env": _SECRET, "keys/k.md": _SECRET})
    (repo.path / "link.md").symlink_to(".env")
    (repo.path / "head.md").symlink_to(".git/HEAD")
    (repo.path / "folder").symlink_to("keys")
    named = (".env", "keys/k.md", "folder/k.md", ".git/HEAD", "link.md", "head.md")
    listed = json.dumps([name for name in named if name != ".git/HEAD"])
    repo.write({"noburn.toml": gate_toml("", table(listed)), "a.j2": "{{ x }}"})
    assert set(refused(repo.judged())) == set(named) - {".git/HEAD"}
    for name in named:
        repo.write({"noburn.toml": _leaks(file=name), "a.j2": "{{ x }}"})
        assert "does not belong to the repository" in refused(repo.judged())["a.j2"]
        repo.write({"noburn.toml": _leaks(file="a.j2"), "a.j2": f"{{% include '{name}' %}}"})
        assert "repository" in refused(repo.judged())["a.j2"]


@pytest.mark.skipif(sys.platform == "darwin", reason="the address space has no limit there")
def test_a_template_cannot_take_the_machine(repo: Repo) -> None:
    repo.write(
        {
            "noburn.toml": gate_toml("", table('["*.j2"]')),
            "center.j2": "{{ 'a'|center(4000000000) }}",
            "double.j2": "{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(40) %}"
            "{% set n.x = n.x ~ n.x %}{% endfor %}",
            "endless.j2": "{% for a in range(99999) %}{% for b in range(99999) %}"
            "{% if a < 0 %}x{% endif %}{% endfor %}{% endfor %}",
            "good.j2": words(9),
        }
    )
    done = repo.judged()
    found = refused(done)
    assert set(found) == {"center.j2", "double.j2", "endless.j2"}
    assert "more memory" in found["center.j2"]
    assert "to render" in found["endless.j2"]
    assert sizes(done) == {"good.j2": 9}


def test_keys_of_yaml_and_json(repo: Repo) -> None:
    value = {
        "system": "one two",
        "parts": ["three", "four"],
        "messages": [{"content": "five"}, {"content": "six"}],
        "prompts": {"a": "seven", "b.c": "eight nine"},
        "number": 3,
    }
    keys = """keys = ["system", "parts", "messages[*].content", "messages[0].content"]"""
    each = """each = ["prompts.*", 'prompts."b.c"']"""
    repo.write(
        {
            "noburn.toml": gate_toml(
                "",
                table('["a.json", "a.yaml"]', keys),
                table('["a.json"]', each, 'label = "each"'),
                table('["a.yml"]', 'keys = ["number"]'),
                table('["b.yaml"]', 'keys = ["there"]'),
                table('["c.yaml"]'),
            ),
            "a.json": json.dumps(value),
            "a.yaml": json.dumps(value, indent=2) + "\n",
            "a.yml": "number: 3",
            "b.yaml": "not: there",
            "c.yaml": "system: hello",
        }
    )
    done = repo.judged()
    together = sum(map(count, ("one two", "three", "four", "five", "six", "five")))
    assert sizes(done) == {
        "a.json": together,
        "a.yaml": together,
        "a.json:prompts.a (each)": count("seven"),
        "a.json:prompts.b.c (each)": count("eight nine"),
    }
    found = refused(done)
    assert "`number` is no text; it is int" in found["a.yml"]
    assert "nothing at `there`" in found["b.yaml"]
    assert "which keys are the prompt" in found["c.yaml"]


_BOMB = "\n".join(
    ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))]
)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{"a": ', "a.json is not JSON"),
        ("a.json", "[" * 100_000, "a.json is not JSON"),
        ("a.yaml", "a: [", "a.yaml is not YAML"),
        ("a.yaml", "--- a\n--- b\n", "a.yaml is not YAML"),
        ("a.yaml", "!!python/object/apply:os.system ['x']", "a.yaml is not YAML"),
        ("a.yaml", f"messages: [{{role: user, content: *a8}}]\n{_BOMB}", "not YAML"),
        ("a.yaml", f"{_BOMB}\nmessages: [{{role: user, content: *a8}}]", "1,000,000 values"),
        ("a.yaml", f"{_BOMB}\nkeys: *a8", "1,000,000 values"),
        ("a.jsonl", "just text", "holds no requests"),
        ("a.jsonl", '{"model": "test-small", "input": "a"}\n{', "a.jsonl:2: this is not a request"),
        ("a.json", '{"model": "test-small", "messages": 3}', "a.json: "),
        ("a.py", "A = '''", "a.py:1 is not Python"),
        ("a.py", "A = 1", "`A` is not a constant text; it is int"),
    ],
)
def test_documents_that_cannot_be_read(repo: Repo, name: str, content: str, said: str) -> None:
    own = table(f'["{name}"]', 'constants = ["A"]')
    repo.write({"noburn.toml": gate_toml("", own), name: content})
    (found,) = refused(repo.judged()).values()
    assert said in found


_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
_TOOL = {"name": "weather", "description": "Says the weather", "parameters": _SCHEMA}
_SAID = [{"role": "user", "content": "How is the weather?"}]
_REQUESTS: dict[str, Any] = {
    "openai.json": {
        "model": "test-small",
        "messages": [{"role": "system", "content": "Be brief."}, *_SAID],
        "tools": [{"type": "function", "function": _TOOL}],
        "max_completion_tokens": 64,
    },
    "responses.json": {"model": "test-big", "input": "hello", "instructions": "Be brief."},
    "anthropic.json": {
        "model": "test-claude",
        "system": "Be brief.",
        "messages": _SAID,
        "tools": [{"name": "weather", "description": "d", "input_schema": _SCHEMA}],
        "max_tokens": 64,
    },
}


def test_chat_files_are_counted_as_estimate_counts_them(
    repo: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's and Anthropic's formats, in JSON, YAML and JSONL; tools included."""
    import yaml

    files = {name: json.dumps(body) for name, body in _REQUESTS.items()}
    files |= {
        f"{name}.yaml": yaml.safe_dump(body, sort_keys=False) for name, body in _REQUESTS.items()
    }
    files["all.jsonl"] = "".join(json.dumps(_REQUESTS["openai.json"]) + "\n" for _ in range(3))
    toml = gate_toml('model = "test-old"', table('["*.json*", "*.yaml"]', terms="output = 5"))
    repo.write({**files, "noburn.toml": toml})
    found = {one["name"]: one["after"] for one in repo.judged().data["changes"]}
    monkeypatch.setenv("NOBURN_PRICES", str(repo.path / "prices.toml"))
    assert main(["estimate", "--json", "--out-tokens=5", *_REQUESTS, "all.jsonl"]) == 0
    estimates = json.loads(capsys.readouterr().out)["data"]["estimates"]
    assert len(estimates) == 4
    for one in estimates:
        for name in (one["source"], f"{one['source']}.yaml"):
            ours = found.get(name, found[one["source"]])
            same = ("model", "requests", "input_tokens_max", "input_tokens", "output_tokens_max")
            assert {key: ours[key] for key in same} == {key: one[key] for key in same}
            assert (ours["cost_call"], ours["worst_call"]) == (one["cost"], one["worst_cost"])
    assert found["openai.json"]["output_cap"] == 64
    assert found["openai.json.yaml"] | {"name": "", "path": ""} == found["openai.json"] | {
        "name": "", "path": "",
    }  # fmt: skip


def test_a_chat_without_a_model_has_its_table_s(repo: Repo) -> None:
    """Messages alone, too; Claude's cap, which its API requires, is the table's."""
    claude = 'model = "test-claude"\noutput = 5'
    repo.write(
        {
            "noburn.toml": gate_toml(
                "",
                table('["a.json", "list.yaml"]'),
                table('["c.json"]', "cap = 77", terms=claude),
                table('["d.json"]', terms=claude),
                table('["e.json"]', terms=""),
                table('["two.jsonl"]', terms=""),
            ),
            "a.json": json.dumps({"messages": _SAID}),
            "list.yaml": json.dumps(_SAID),
            **dict.fromkeys(
                ("c.json", "d.json", "e.json"), json.dumps({"system": "x", "messages": _SAID})
            ),
            "two.jsonl": "".join(
                json.dumps({"model": model, "messages": _SAID}) + "\n"
                for model in ("test-small", "test-big")
            ),
        }
    )
    done = repo.judged()
    assert sizes(done)["a.json"] == sizes(done)["list.yaml"] > count("How is the weather?")
    (claude_cost,) = [c["after"] for c in done.data["changes"] if c["name"] == "c.json"]
    assert (claude_cost["output_cap"], claude_cost["model"]) == (77, "test-claude")
    found = refused(done)
    assert "add it to the file, or `cap` to its table" in found["d.json"]
    assert "without a model" in found["e.json"]
    assert "requests of several models: test-small, test-big" in found["two.jsonl"]


_MODULE = '''
"""Not a prompt."""
import os, textwrap
from other import SHARED
NAME = "noburn"
SYSTEM = ("You are " f"{NAME}, "
    'an agent.')
LONG: str = textwrap.dedent("""\\
    one
    two
""").strip() + "\\n" * 2
class Agent:
    PROMPT = f"{who} says {1} " + SYSTEM
    class Inner:
        PROMPT = " ".join(["a", NAME])
if os:
    COND_PROMPT = "yes"
TWICE_PROMPT = "one"
TWICE_PROMPT = "two"
RUN_PROMPT = os.environ["X"]
SHARED_PROMPT = f"{SHARED}!"
LOOP_PROMPT = "a" + LOOP_PROMPT
FORMAT_PROMPT = f"{NAME!r}"
HUGE_PROMPT = "x" * 999999999
lower = "\\d"
'''


def test_python_constants_are_read_and_never_run(repo: Repo) -> None:
    names = '["SYSTEM", "LONG", "Agent.*PROMPT", "*_PROMPT", "MISSING", "SYSTEN"]'
    own = table('["app/a.py"]', f"constants = {names}", 'variables = { who = "Ada" }')
    repo.write({"noburn.toml": gate_toml("", own), "app/a.py": _MODULE})
    done = repo.judged()
    system = "You are noburn, an agent."
    assert sizes(done) == {
        "app/a.py:SYSTEM": count(system),
        "app/a.py:LONG": count("one\ntwo\n\n"),
        "app/a.py:Agent.PROMPT": count(f"Ada says 1 {system}"),
        "app/a.py:Agent.Inner.PROMPT": count("a noburn"),
        "app/a.py:COND_PROMPT": count("yes"),
    }
    found = refused(done)
    reasons = {
        "TWICE_PROMPT": "assigned more than once (lines 18, 19)",
        "RUN_PROMPT": "app/a.py:20",
        "SHARED_PROMPT": "`SHARED` is imported from another module",
        "LOOP_PROMPT": "made of itself",
        "FORMAT_PROMPT": "formatted when it runs",
        "HUGE_PROMPT": "known only when it runs",
        "MISSING": "there is no constant `MISSING`",
        "SYSTEN": "did you mean `SYSTEM`?",
    }
    assert set(found) == {f"app/a.py:{name}" for name in reasons}
    for name, reason in reasons.items():
        assert reason in found[f"app/a.py:{name}"]
    assert "app" not in sys.modules
    repo.write({"noburn.toml": gate_toml("", table('["app/a.py"]'))})
    assert "names no constants" in refused(repo.judged())["app/a.py"]


def test_a_library_that_is_missing_is_a_failure_with_its_name(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in (("jinja2", "a.j2"), ("yaml", "a.yaml")):
        repo.write({"noburn.toml": gate_toml("", table(f'["{name}"]')), name: "a"})
        monkeypatch.setitem(sys.modules, module, None)
        done = repo.gate("--no-base")
        assert done.code == 1
        assert "pip install 'noburn-cli[gate]'" in done.err


def test_what_has_no_price_is_a_finding(repo: Repo) -> None:
    repo.write(
        {
            "noburn.toml": gate_toml(
                "",
                table('["a.md"]', terms=""),
                table('["b.md"]', terms='model = "gpt-99"'),
                table('["c.md"]', terms='model = "test-small"\nvariant = "flex"'),
                table('["d.md"]'),
            ),
            **dict.fromkeys(("a.md", "b.md", "c.md"), words(5)),
            "d.md": words(1_001),
        }
    )
    found = refused(repo.judged())
    assert "a.md has no model" in found["a.md"]
    assert "gpt-99" in found["b.md"]
    assert "has no flex price" in found["c.md"]
    assert "does not fit `test-small`" in found["d.md"]
    assert all(done["after"] for done in repo.judged().data["changes"])


def test_one_file_in_two_tables_needs_a_label(repo: Repo) -> None:
    repo.write({"noburn.toml": gate_toml("", table('["a.md"]'), table('["*.md"]'))})
    repo.write({"a.md": words(5)})
    done = repo.gate("--no-base")
    assert done.code == 2
    assert "gate.prompt 1 (a.md) and gate.prompt 2 (*.md)" in done.err
    labelled = table('["*.md"]', 'label = "b"')
    repo.write({"noburn.toml": gate_toml("", table('["a.md"]'), labelled)})
    assert set(sizes(repo.judged())) == {"a.md", "a.md (b)"}
