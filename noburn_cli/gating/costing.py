"""How large prompts are on their models, and what that comes to: measured as `estimate` measures.

Layer: I/O (it counts).  Below: estimating, core.gate_costs, gating.prompts.
Above: gating.comparing.
Not here: the arithmetic (core.gate_costs), which prompts there are (gating.prompts).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from noburn_cli.core.gate_costs import Size, dearest_moment
from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import InputRefused
from noburn_cli.estimating import Job
from noburn_cli.gating.prompts import Prompt
from noburn_cli.inputs import Inputs, Item
from noburn_cli.render.progress import Progress


@dataclass(frozen=True)
class Ways:
    """How the requests of a prompt are sent.

    cap: the most output that each asks for, or None for the model's own maximum.
    variant: as which price calls are billed.
    caps_differ, variants_differ: the requests of one file say different things, and each keeps what
        it says.
    """

    model: str
    cap: int | None
    variant: str
    caps_differ: bool = False
    variants_differ: bool = False


def ways_of(prompt: Prompt, default_model: str | None) -> Ways:
    """How a prompt's table and its requests say that it is sent.

    The table's model beats a request's own, which beats that of [gate]; so do cap and variant.
    Raises InputRefused where nobody names a model, or one file names several.
    """
    spec = prompt.spec
    own = list(dict.fromkeys(item.call.model for item in prompt.items if item.call.model))
    named = [spec.model] if spec.model else own or ([default_model] if default_model else [])
    if len(named) != 1:
        raise InputRefused(
            f"{prompt.name} has {'requests of several models' if named else 'no model'}"
            + (f": {', '.join(map(str, named))}" if named else ""),
            why="the model decides how tokens are counted and what they cost",
            next_step="name one in its table"
            + ("" if named else ", or `model` in [gate] for all of them"),
        )
    caps = {_cap(item) for item in prompt.items}
    variants = list(dict.fromkeys(_variant(item) for item in prompt.items))
    return Ways(
        model=str(named[0]),
        cap=spec.cap if spec.cap is not None else next(iter(caps)) if len(caps) == 1 else None,
        variant=spec.variant or variants[0],
        caps_differ=spec.cap is None and len(caps) > 1,
        variants_differ=spec.variant is None and len(variants) > 1,
    )


def _cap(item: Item) -> int | None:
    return None if item.call.output is None else item.call.output.wanted


def _variant(item: Item) -> str:
    return "batch" if item.batch else item.call.variants[0]


class Coster:
    """Measures requests with one price book; the same request on the same terms only once.

    warnings: what `estimate` would warn of.
    """

    def __init__(self, book: PriceBook, *, at_ms: int) -> None:
        self.book = book
        self._at_ms = at_ms
        self._jobs: dict[tuple[str, int], Job] = {}
        self._known: dict[tuple[bytes, str, int | None, str, bool], Size] = {}

    @property
    def warnings(self) -> list[str]:
        return list(dict.fromkeys(one for job in self._jobs.values() for one in job.warnings))

    def model(self, name: str) -> Model:
        """Raises ModelUnknown."""
        return self.book.resolve(name)

    def sizes(self, items: Sequence[Item], ways: Ways) -> tuple[Size, ...]:
        """Each request, sent in these ways.

        Raises NoburnError for the first that cannot be priced: an unknown model or rate, an input
        that does not fit, an output that nothing limits.
        """
        return tuple(self._size(_sent(item, ways), ways.model) for item in items)

    def _size(self, item: Item, model: str) -> Size:
        place = (_digest(item), model, _cap(item), _variant(item), item.call.output is None)
        if place not in self._known:
            self._known[place] = self._measured(item, model)
        return self._known[place]

    def _measured(self, item: Item, model: str) -> Size:
        moment = dearest_moment(self.model(model), _variant(item), self._at_ms)
        if (model, moment) not in self._jobs:
            self._jobs[model, moment] = Job(
                book=self.book,
                names=(model,),
                compare=False,
                output=None,
                calls=1,
                ask_provider=False,
                at_ms=moment,
                progress=Progress(None),
            )
        inputs = Inputs(items=[item])
        rows = self._jobs[model, moment].estimate_all(inputs)
        if inputs.problems:
            raise inputs.problems[0]
        (row,) = rows
        return Size(
            input=row.input_tokens,
            how=row.how,
            bound_tokens=row.bound_tokens,
            bound_how=row.bound_how,
            output_max=row.output_max,
            worst=row.worst,
            window_share=row.window_share,
            variant=_variant(item),
        )


def _sent(item: Item, ways: Ways) -> Item:
    """A request with the cap and the variant that it is sent with."""
    call = item.call
    if call.output is not None and not ways.caps_differ and call.output.wanted != ways.cap:
        call = replace(call, output=replace(call.output, wanted=ways.cap))
    batch = item.batch
    if not ways.variants_differ and _variant(item) != ways.variant:
        call, batch = replace(call, variants=(ways.variant,)), False
    return replace(item, call=call, batch=batch)


def _digest(item: Item) -> bytes:
    """What is counted of a request, in short; its cap and model are not part of it."""
    digest = hashlib.sha256()
    call = item.call
    for text in (call.api, call.schema_text, *call.texts):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    digest.update(repr(replace(call, model="", texts=(), schema_text="", output=None)).encode())
    return digest.digest()
