"""Estimates where the price depends on the hour, the region or on who hosts the model."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from noburn_cli import resources
from noburn_cli.core.estimates import Estimate
from noburn_cli.core.input_sizes import Span
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.estimating import Job
from noburn_cli.inputs import read_inputs
from noburn_cli.render.progress import Progress
from tests.core.test_price_dimensions import BASE, PEAK, UPLIFT

#: 2026-11-27 is a Friday, whose peak begins at one and at six.
DAWN = datetime(2026, 11, 27, 0, 30, tzinfo=timezone.utc)
WEEKEND = datetime(2026, 11, 28, 0, 30, tzinfo=timezone.utc)


def _job(at: datetime, *names: str, region: str = "", compare: bool = False) -> Job:
    hosted = BASE.replace("format = 1", "").replace('"deepseek"', '"vertex"')
    tuned = BASE.replace("format = 1", "").replace('"deep"', '"ft:deep"')
    text = BASE + PEAK + UPLIFT + hosted.replace('"deep"', '"vertex_ai/deep"') + tuned
    return Job(
        book=PriceBook.from_texts([("a test", text)]),
        names=names,
        compare=compare,
        output=Span(10, 10),
        calls=1,
        ask_provider=False,
        at_ms=int(at.timestamp()) * 1000,
        progress=Progress(io.StringIO()),
        region=region,
    )


def _rows(job: Job, tmp_path: Path, *, batch: bool = False) -> list[Estimate]:
    body = {"model": "deep", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
    file = tmp_path / "asked.jsonl"
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file.write_text(json.dumps(line if batch else body) + "\n")
    found = read_inputs([str(file)], io.BytesIO())
    rows = job.estimate_all(found)
    for problem in found.problems:
        raise problem
    return rows


def test_the_worst_case_is_the_dearest_hour_of_the_coming_week(tmp_path: Path) -> None:
    (dawn,) = _rows(job := _job(DAWN, "deep"), tmp_path)
    (weekend,) = _rows(_job(WEEKEND, "deep"), tmp_path)
    assert dawn.cost == weekend.cost, "both are off-peak now"
    assert dawn.worst == weekend.worst, "whenever it is asked"
    (peak,) = _rows(_job(DAWN.replace(hour=1), "deep"), tmp_path)
    (flat,) = _rows(_job(WEEKEND, "vertex_ai/deep"), tmp_path)
    assert peak.worst == dawn.worst == 2 * flat.worst
    (note,) = job.notes
    assert note.startswith("deep has another price at Mon-Fri 01:00-04:00, 06:00-10:00 UTC")


def test_a_region_is_priced_where_the_book_knows_it(tmp_path: Path) -> None:
    (plain,) = _rows(_job(WEEKEND, "deep"), tmp_path)
    (regional,) = _rows(_job(WEEKEND, "deep", region="eu"), tmp_path)
    assert regional.worst * 10 == plain.worst * 11
    with pytest.raises(Exception, match="no price in the region `mars`"):
        _rows(_job(WEEKEND, "deep", region="mars"), tmp_path)
    with pytest.raises(Exception, match="no batch price at that time"):
        _rows(_job(WEEKEND, "deep", region="eu"), tmp_path, batch=True)


def test_a_region_of_bedrock_is_that_of_the_guard(tmp_path: Path) -> None:
    """A model by its own id costs what the region does, by a profile what the profile does."""
    llama, claude = "bedrock/meta.llama3-70b-instruct-v1:0", "bedrock/us.anthropic.claude-sonnet-5"
    book = PriceBook.from_texts([resources.shipped_prices()])
    for name, region, is_dearer in (
        (llama, "us-east-1", False), (llama, "sa-east-1", True), (claude, "us-west-2", False),
    ):  # fmt: skip
        (home,) = _rows(replace(_job(WEEKEND, name), book=book), tmp_path)
        (there,) = _rows(replace(_job(WEEKEND, name, region=region), book=book), tmp_path)
        assert (there.worst == home.worst, there.worst > home.worst) == (not is_dearer, is_dearer)
    with pytest.raises(Exception, match="no price in the region `eu-west-3`"):
        _rows(replace(_job(WEEKEND, llama, region="eu-west-3"), book=book), tmp_path)


def test_hosted_copies_and_fine_tunes_are_priced_when_they_are_named(tmp_path: Path) -> None:
    rows = _rows(job := _job(WEEKEND, compare=True), tmp_path)
    assert [row.model for row in rows] == ["deep"]
    assert any("Vertex AI, and fine-tunes, are priced when they are named" in n for n in job.notes)
    named = _rows(_job(WEEKEND, "vertex_ai/deep@default", "ft:deep:acme::1"), tmp_path)
    assert [row.model for row in named] == ["vertex_ai/deep", "ft:deep"]
