"""The newest calls of one prompt, feature or model, for what they say about the next one.

Layer: reports, I/O.  Below: core.learning, reading, recorded.  Above: noburn_cli.learning.
Owns: which calls teach, here and for the calibration: those whose bill tells a whole answer.

Left out are calls without a bill (blocked, refused, voided, in flight, uncertain, orphaned), those
whose bill is a correction without usage, those that failed or were let go of before their answer
was whole, embeddings and whatever else has no output, and batches, which bill many requests as one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from noburn_cli.core.learning import (
    BASES,
    CALLS_MAX,
    FEATURE,
    MODEL,
    PROMPT,
    PROMPT_KEY,
    Learned,
    Observed,
    Window,
    learn,
)
from noburn_cli.core.recorded_tags import PLAYED_TAG
from noburn_cli.reports.reading import reading
from noburn_cli.reports.recorded import stretch

#: A ledger may have millions of calls in a month: what the newest half a million rows do not have
#: is not looked for, so that an estimate stays a matter of a second.
ROWS_MAX = 500_000

#: Of a reserve (r) and of the row that ended it (e), in the order of `observed`.
COLUMNS = """
    r.at_ms, r.granted, r.hold_tokens, r.input_bound, e.input, e.cache_read, e.cache_write_5m,
    e.cache_write_1h, e.output
"""
#: Whether the two tell of a whole answer.
TEACHES = """
    r.granted IS NOT NULL AND e.kind = 'settle' AND e.failure IS NULL AND e.input IS NOT NULL
"""
#: A recorded answer that is played again says nothing that it has not said before.
_PLAYED = f"""
    SELECT id FROM names WHERE kind = 'context' AND json_extract(text, '$."{PLAYED_TAG}"') NOTNULL
"""  # noqa: S608 -- our own names
NO_BATCH = "json_extract(text, '$[0]') NOT LIKE '%batches'"
_MODELS = f"""
    SELECT id FROM names WHERE kind = 'model' AND {NO_BATCH} AND json_extract(text, '$[2]') = :model
"""  # noqa: S608 -- our own names
_CONTEXTS = """
    AND r.context IN (SELECT id FROM names WHERE kind = 'context' AND
      json_extract(text, :path) = :name)
"""
_PATHS = {PROMPT: f'$."{PROMPT_KEY}"', FEATURE: f"$.{FEATURE}"}


def read_learned(
    ledger_path: Path, *, model: str, basis: str, name: str = "", since_ms: int
) -> Learned | None:
    """What the newest calls of one group say; None where too few are known.

    model: as the price book calls it.  name: of the prompt or feature; "" for the model's own.
    Raises LedgerUnavailable.
    """
    if basis not in BASES:
        raise ValueError(f"nothing is learned from calls of one {basis}")
    chosen = "" if basis == MODEL else _CONTEXTS
    sql = f"""
        SELECT {COLUMNS} FROM journal AS r CROSS JOIN journal AS e ON e.seq = (
          SELECT max(c.seq) FROM journal AS c WHERE c.call = r.call
          AND c.kind IN ('settle', 'lose', 'orphan', 'void'))
        WHERE r.kind = 'reserve' AND r.seq >= :first AND r.model IN ({_MODELS}) {chosen}
          AND {TEACHES} AND r.context NOT IN ({_PLAYED})
        ORDER BY r.seq DESC LIMIT {CALLS_MAX}
    """  # noqa: S608 -- our own names
    with reading(ledger_path) as connection:
        part = stretch(connection, since_ms=since_ms, until_ms=None)
        values: dict[str, Any] = {"first": max(part.first, part.end - ROWS_MAX), "model": model}
        if chosen:
            values |= {"path": _PATHS[basis], "name": name}
        window = Window(observed(row) for row in connection.execute(sql, values))
    return learn(window, since_ms=since_ms, model=model, basis=basis, name=name)


def observed(row: Iterable[Any]) -> Observed:
    """A call from COLUMNS."""
    at_ms, granted, hold_tokens, bound, plain, read, write_5m, write_1h, output = row
    made = output or 0
    return Observed(
        at_ms, made, made >= most_output(granted, hold_tokens, bound),
        plain or 0, read or 0, write_5m or 0, write_1h or 0,
    )  # fmt: skip


def most_output(granted: int, hold_tokens: int | None, bound: int | None) -> int:
    """The most output that a call was let go with, all its choices together.

    How many choices there were is not told by itself: tokens were held for input and each of them.
    """
    choices = ((hold_tokens or 0) - (bound or 0)) // granted if granted else 1
    return granted * max(1, choices)


def attributes_of(text: str | None) -> dict[str, str]:
    """A context's attributes; none once they were forgotten."""
    return {} if text is None else dict(json.loads(text))
