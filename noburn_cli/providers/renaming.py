"""The same request for another model: where a request names its model, and how that is replaced.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.jsonbody.
Above: the codecs, each of which knows where its API has the name.
Not here: which model (the daemon, by a budget's rules), how a server calls it (routes.Route).

Everything else of the body keeps its very bytes.  What the other model cannot do is not known here:
its provider says so, in an error of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from noburn_cli.providers.jsonbody import Body, RawJson, deep_refused, refused

MODEL = "model"


class Addressed(NamedTuple):
    """A request's URL and body."""

    url: str
    body: bytes


class InBody:
    """The part of a codec whose requests name their model in the body, and there alone."""

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return Addressed(url, in_body(body, model))


def in_body(body: bytes, model: str, *, key: str = MODEL) -> bytes:
    """The body with another model.  Raises InputRefused where it names none."""
    request = Body(body)
    if key not in request.values:
        raise refused(f"the request has no `{key}` that another could take the place of")
    return request.with_values({key: model})


def in_body_if_there(body: bytes, model: str) -> bytes:
    """The same for a body that need not name it."""
    return in_body(body, model) if MODEL in Body(body).values else body


def in_path(url: str, place: re.Pattern[str], model: str) -> str:
    """The URL with another model, escaped as a whole segment.

    place: finds the name in a path, as its group `model`.  Raises InputRefused where it does not.
    """
    path, mark, query = url.partition("?")
    found = place.search(path)
    if found is None:
        raise refused("the URL does not name the model where another could take its place")
    start, end = found.span("model")
    return path[:start] + quote(model, safe="") + path[end:] + mark + query


@deep_refused
def in_each(body: bytes, model: str, *, each: str, inside: str = "") -> bytes:
    """The body with another model in each object of a list, or in a member of each.

    each: the list.  inside: the member of its objects that names the model, or "" for themselves.
    Raises InputRefused where one of them names none.
    """

    def change(text: str) -> str:
        item = text.encode("utf-8")
        if not inside:
            return in_body(item, model).decode("utf-8")
        one = Body(item)
        named = in_body(one.nested(inside).with_values({}), model)
        return one.with_values({inside: RawJson(named.decode("utf-8"))}).decode("utf-8")

    return Body(body).with_items(each, change)
