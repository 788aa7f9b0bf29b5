"""Exports of the providers, in the shapes that they have: what is read, and what is refused."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.importing.fields import Unread, count_of, nano_of
from noburn_cli.reconcile import mapped_csv, openai_bill
from noburn_cli.reconcile.bill import Bill, count, exact
from noburn_cli.reconcile.formats import read_file

OPENAI_COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,\
quantity_unit,line_item,user_id,api_key_id,project_id,organization_id,project_name,\
organization_name,user_email,api_source
1790467200,1790553600,2026-09-27T00:00:00+00:00,2026-09-28T00:00:00+00:00,,,,,,,,,,,,,
1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,0.003835980000000000000000000000,\
usd,,,"gpt-6-luna-2026-05-07, cached input",,key_a,proj_1,org-x,,Fixture,someone@example.com,
"""
OPENAI_ACTIVITY = """\
start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,\
model,batch,service_tier,input_tokens,output_tokens,input_cached_tokens
1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,proj_1,7,,key_a,gpt-6-luna,False,\
default,1000,500,250
"""
CLAUDE_COST = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,\
list_price_usd,cost_type,inference_geo,speed,api_key_id,api_key_status
2026-08-04,Claude Haiku 4.5,Default,demo-key,message,≤ 200k,input_no_cache,0.05,0.05,token,\
not_available,,apikey_01AAA,archived
2026-08-05,Claude Sonnet 4.5,Default,demo-key,message,≤ 200k,input_cache_read,0.10,1.00,token,\
not_available,,apikey_01AAA,archived
2026-08-07,,Default,demo-key,message,,,0.02,0.02,web_search,not_available,,apikey_01AAA,archived
"""
CLAUDE_USAGE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,\
usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,\
usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed
2026-08-05,claude-sonnet-4-5-20250929,test-key,Default,standard,≤ 200k,100000,1,2,3,500,4,,
"""


def read(tmp_path: Path, text: str, **more: Any) -> Bill:
    path = tmp_path / "export"
    path.write_text(text)
    return read_file(path, **{"mapping": None, "provider": None, **more})


def test_the_dashboards_files(tmp_path: Path) -> None:
    bill = read(tmp_path, OPENAI_COSTS)
    [row] = bill.rows
    assert (bill.provider, sorted(bill.days)) == ("openai", ["2026-09-27", "2026-09-28"])
    assert (row.model, row.kind, row.key) == ("gpt-6-luna-2026-05-07", "cache_read", "key_a")
    assert row.dollars == Fraction("0.00383598")
    [row] = read(tmp_path, OPENAI_ACTIVITY).rows
    assert (row.requests, row.dollars) == (7, None)
    assert row.tokens == {"input": 750, "cache_read": 250, "output": 500}
    bill = read(tmp_path, CLAUDE_COST)
    assert [row.model for row in bill.rows] == [
        "claude-haiku-4-5",
        "claude-sonnet-4-5",
        "web_search",
    ]
    assert [row.kind for row in bill.rows] == ["input", "cache_read", ""]
    assert (bill.rows[2].fee, bill.step) == ("web_search", Fraction(1, 100))
    assert len(bill.days) == 4  # A day without a row had no spend.
    [row] = read(tmp_path, CLAUDE_USAGE).rows
    assert row.tokens == {"input": 100_000, "cache_write_5m": 1, "cache_write_1h": 2,
                          "cache_read": 3, "output": 500, "web_search": 4}  # fmt: skip


def test_the_newer_usage_and_costs_of_anthropic(tmp_path: Path) -> None:
    group = {"model": "claude-sonnet-5-5", "api_key_id": "apikey_1", "workspace_id": "wrkspc_1"}
    span = {"starting_at": "2026-09-03T00:00:00Z", "ending_at": "2026-09-04T00:00:00Z"}
    usage = {
        "uncached_input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
        "server_tool_use": {"web_search_requests": 0}, "requests": 6, "total_tokens": 69,
    }  # fmt: skip
    cost = {"amount": "123.456789", "currency": "USD", "list_amount": "130", "requests": None}
    page = {"data": [{**span, "group": group, "usage": usage}], "has_more": False}
    [row] = read(tmp_path, json.dumps(page)).rows
    assert (row.requests, row.key, row.project) == (6, "apikey_1", "wrkspc_1")
    assert row.tokens["cache_write_1h"] == 5
    page["data"] = [
        {**span, "group": {**group, "token_type": "output_tokens"}, "cost": cost},
        {**span, "group": {"cost_type": "web_search"}, "cost": cost},
    ]
    paid, searched = read(tmp_path, json.dumps(page)).rows
    assert (paid.dollars, paid.kind) == (Fraction("1.23456789"), "output")
    assert (searched.fee, searched.model) == ("web_search", "web search")


def test_audio_images_and_searches_of_openai(tmp_path: Path) -> None:
    completions = {
        "object": "organization.usage.completions.result", "input_tokens": 1000,
        "input_cached_tokens": 300, "input_cached_text_tokens": 200,
        "input_cached_audio_tokens": 100,
        "input_text_tokens": 400, "input_audio_tokens": 150, "input_image_tokens": 50,
        "input_cache_write_tokens": 100, "input_cache_write_12h_tokens": 40,
        "output_tokens": 90, "output_audio_tokens": 60, "num_model_requests": 3, "model": "gpt-x",
    }  # fmt: skip
    others = [
        {"object": "organization.usage.embeddings.result", "input_tokens": 8, "model": "e",
         "num_model_requests": 1},
        {"object": "organization.usage.audio_speeches.result", "characters": 45, "model": "tts",
         "num_model_requests": 1},
        {"object": "organization.usage.web_searches.result", "num_requests": 7,
         "num_model_requests": 5},
    ]  # fmt: skip
    bucket = {"object": "bucket", "start_time": 1790553600, "end_time": 1790640000}
    page = {"data": [{**bucket, "results": [completions, *others]}], "has_more": False}
    rows = read(tmp_path, json.dumps([page])).rows
    assert rows[0].tokens == {
        "input": 400, "cache_read": 200, "audio_input": 150, "audio_cache_read": 100,
        "image_input": 50, "cache_write_5m": 60, "cache_write_1h": 40, "output": 30,
        "audio_output": 60,
    }  # fmt: skip
    assert [row.tokens for row in rows[1:]] == [{"input": 8}, {"characters": 45}, {"web_search": 7}]
    assert rows[3].requests is None  # It counts searches, of requests that are counted elsewhere.


@pytest.mark.parametrize(
    ("item", "meaning"),
    [
        ("gpt-5.5-2026-04-23, input", ("gpt-5.5-2026-04-23", "input", "")),
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "input", "")),
        ("gpt-4o, cached input", ("gpt-4o", "cache_read", "")),
        ("gpt-audio-mini audio, output", ("gpt-audio-mini", "audio_output", "")),
        ("gpt-image-2.5 text, cached input", ("gpt-image-2.5", "cache_read", "")),
        ("priority | gpt-5.6-sol, output, long context", ("gpt-5.6-sol", "", "")),
        ("web search tool calls", ("web search tool calls", "", "web_search")),
        ("Vector storage", ("Vector storage", "", "")),
        ("gpt-4o", ("gpt-4o", "", "")),
        ("", ("", "", "")),
    ],
)
def test_line_items(item: str, meaning: tuple[str, str, str]) -> None:
    assert openai_bill.line_item(item) == meaning


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    mapping = mapped_csv.parse_map("day=when,model=m,cost=usd,input=in,request=id")
    text = "when,m,usd,in,id\n2026-10-03T23:59:59-02:00,gpt-6-luna,0.25,7,req-1\n"
    [row] = read(tmp_path, text, mapping=mapping).rows
    assert (row.day, row.request, row.requests) == ("2026-10-04", "req-1", 1)
    assert (row.dollars, row.tokens) == (Fraction(1, 4), {"input": 7})
    seconds = text.replace("2026-10-03T23:59:59-02:00", "1791072000")
    assert read(tmp_path, seconds, mapping=mapping).rows[0].day == "2026-10-04"
    for wrong in ("day=a", "day=a,model=b,prize=c", "day", "day=a,model="):
        with pytest.raises(UsageError):
            mapped_csv.parse_map(wrong)


BUCKET = {"start_time": 1790553600, "end_time": 1790640000}
COST = {"object": "organization.costs.result", "line_item": "gpt-6-luna, input"}


def test_columns_with_the_words_own_names_need_no_map(tmp_path: Path) -> None:
    text = "day,model,cost,requests,region\n2026-10-01,gpt-6-luna,0.25,3,eu\n"
    by_itself = read(tmp_path, text)
    named = {word: word for word in ("day", "model", "cost", "requests")}
    assert by_itself == read(tmp_path, text, mapping=named)
    assert [(r.day, r.dollars, r.requests) for r in by_itself.rows] == [
        ("2026-10-01", Fraction(1, 4), 3)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"data": 1}', "is not a page"),
        ('{"data": [], "has_more": true}', "its last page says that there is more"),
        (json.dumps({"data": [{**BUCKET, "end_time": 1790740000, "results": []}]}), "than a day"),
        (json.dumps({"data": [{**BUCKET, "results": [{"object": "x"}]}]}), "a result of 'x'"),
        (
            json.dumps({"data": [{**BUCKET, "results": [
                {**COST, "amount": {"value": 1, "currency": "eur"}}]}]}),
            "amounts in eur",
        ),
        ('{"data": [{"start_time": NaN, "results": []}]}', "is not JSON"),
        (json.dumps({"data": [{**BUCKET, "results": [7]}]}), "is not shaped like"),
        (json.dumps({"data": [{**BUCKET, "results": [{**COST, "amount": 3}]}]}), "shaped like"),
        ('{"data": [{"starting_at": "2026-10-01", "results": [{"amount": []}]}]}', "an amount"),
        (
            json.dumps({"data": [{**BUCKET, "results": [
                {**COST, "amount": {"value": "1e40", "currency": "usd"}}]}]}),
            "an amount cannot be read from '1e40'",
        ),
        ("a,b\n1,2\n", "no export that is known"),
        ("day,model,usd\n2026-10-01,x,2\n", "no export that is known"),
        ("usage_date_utc,cost_usd\nAugust,0.10\n", "is no time"),
        ("usage_date_utc,cost_usd\n2026-08-01,much\n", "cannot be read from 'much'"),
        ("usage_date_utc,cost_usd\n2026-08-01\n", "not as many fields"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputRefused, match=said):
        read(tmp_path, text)


def test_another_providers_file_is_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="an export of anthropic, not of openai"):
        read(tmp_path, CLAUDE_COST, provider="openai")
    with pytest.raises(InputRefused, match="no column 'usd'"):
        read(tmp_path, "a,b\n1,2\n", mapping={"day": "a", "model": "b", "cost": "usd"})


def test_a_comma_sets_thousands_apart_or_is_refused() -> None:
    """Goal: a decimal comma is never read as a hundred times the amount."""
    plain = {
        "$1,234.50": Fraction(2469, 2),
        "1,234,567": Fraction(1_234_567),
        "0.5": Fraction(1, 2),
    }
    assert {text: exact(text, "cost") for text in plain} == plain
    assert count("1,234", "tokens") == 1_234
    for text in (
        "1,50",
        "1,5",
        "1,234",
        "$1,234",
        "12,34.5",
        "1234,567",
        "1,,234",
        ",5",
        "1,234,5",
    ):
        with pytest.raises(InputRefused, match="cannot be read"):
            exact(text, "cost")
        if text not in ("1,234", "$1,234"):
            with pytest.raises(Unread, match="no counts"):
                count_of(text, "input")
            with pytest.raises(Unread, match="its cost cannot be read"):
                nano_of(text)
