"""The codecs of OpenAI's images, speech and transcripts, and of what only a ceiling bounds.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
Source: the request and response types of the openai Python SDK 3.57 (checked 2026-11-27).

Images: how many tokens an image takes is not published for the models that can still be called, so
the output needs a ceiling; the answer tells it.  Speech by `tts-1` is billed by the characters in
the request, and so is exact beforehand.  The length of audio to transcribe is known only to the
provider, who tells it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.usage import (
    AUDIO_SECONDS,
    CACHE_READ,
    CHARACTERS,
    IMAGE_CACHE_READ,
    IMAGE_INPUT,
    IMAGE_OUTPUT,
    INPUT,
    OUTPUT,
)
from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call
from noburn_cli.providers.ceilings import CEILINGS
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import Collector, flag, model_name, names, refuse_unknown
from noburn_cli.providers.following import Following, answer_object, count_of, event_object
from noburn_cli.providers.jsonbody import Body, deep_refused, refused
from noburn_cli.providers.renaming import Addressed, InBody
from noburn_cli.providers.sse import Event

_IMAGE_PARAMETERS = names(
    "prompt model n size quality background moderation output_compression output_format "
    "partial_images response_format stream style user safety_identifier frame_count "
    "frame_duration_ms complexity prompt_rewriter"
)
_SPEECH_PARAMETERS = names("input model voice instructions response_format speed stream_format")
#: Models that bill the characters of the text; the newer ones bill the length of the speech.
_BY_CHARACTER = re.compile(r"^(openai/)?tts-1(-hd)?(-\d{4})?$")
_MODEL_PART = re.compile(rb'name="?model"?\r?\n(?:[^\r\n]+\r?\n)*\r?\n([^\r\n]{1,256})\r?\n')
_OVERHEAD = 64
_SECONDS_MAX = 10**9


class Uncapped(common.OpenAIErrors, common.Uncounted):
    """What codecs have in common whose answers no output cap limits: nothing to edit or count."""

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is not None:
            raise refused("this call has no output that could be capped")
        return body

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:  # noqa: ARG002
        raise refused("this kind of request names no model that another could take the place of")

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True

    def usage(self, body: bytes) -> Settlement | None:  # noqa: ARG002
        return None

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _Unread(strip_usage=False)

    def stream_error(self, *, message: str, code: str) -> bytes:  # noqa: ARG002
        return b""


class _Unread(Following):
    def look(self, event: Event) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True)
class OnlyCeiling(Uncapped):
    """A request of which nothing can be bounded: held for the ceiling of that name, or refused."""

    api: str
    ceiling: str

    def parse(self, body: bytes) -> Call:  # noqa: ARG002 - read or not, it bounds nothing
        return Call(
            api=self.api,
            model="",
            unbounded=CEILINGS[self.ceiling],
            unbounded_kinds=(self.ceiling,),
            usage_tells_all=False,
            output=None,
        )


class OpenAIImages(InBody, Uncapped):
    """`POST …/images/generations`."""

    api = "openai_images"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = model_name(values.get("model"))
        refuse_unknown(found, values, _IMAGE_PARAMETERS)
        found.add_overhead(_OVERHEAD)
        found.text(values.get("prompt"))
        found.unbounded("images, whose tokens are not published", "images")
        return Call(
            api=self.api,
            model=model,
            texts=found.texts,
            schema_text=found.schema_text,
            overhead_tokens=found.overhead_tokens,
            unbounded=found.why_unbounded,
            unbounded_kinds=found.unbounded_kinds,
            usage_tells_all=found.usage_tells_all,
            input_kinds=(INPUT, CACHE_READ),
            output=None,
            stream=flag(values.get("stream"), what="stream"),
        )

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        return None if answer is None else _image_settlement(answer)

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _ImageStream(strip_usage=False)


class _ImageStream(Following):
    """The last event, `image_generation.completed`, carries the usage of the whole."""

    def look(self, event: Event) -> bool:
        data = event_object(event)
        kind = data.get("type") if data is not None else None
        if data is not None and kind == "image_generation.completed":
            self.ended = True
            self.settlement = _image_settlement(data)
        elif kind == "error" or event.name == "error":
            self.failed = True
        return False


def _image_settlement(answer: dict[str, Any]) -> Settlement | None:
    """Tokens of text and images in, and of images out; None where they do not add up."""
    usage = answer.get("usage")
    if not isinstance(usage, dict) or answer.get("svg_usage") is not None:
        return None  # An SVG is written by another model, whose price this one's row does not have.
    details = usage.get("input_tokens_details")
    cached = details.get("cached_tokens_details") if isinstance(details, dict) else None
    counts = {
        "total": count_of(usage, "input_tokens"),
        "images": count_of(details, "image_tokens"),
        "cached_texts": count_of(cached, "text_tokens"),
        "cached_images": count_of(cached, "image_tokens"),
        "out": count_of(usage, "output_tokens"),
        "text_out": count_of(usage.get("output_tokens_details"), "text_tokens"),
    }
    known = {name: count for name, count in counts.items() if count is not None}
    if len(known) < len(counts):
        return None
    texts = known["total"] - known["images"]
    found = {
        INPUT: texts - known["cached_texts"],
        CACHE_READ: known["cached_texts"],
        IMAGE_INPUT: known["images"] - known["cached_images"],
        IMAGE_CACHE_READ: known["cached_images"],
        IMAGE_OUTPUT: known["out"] - known["text_out"],
        OUTPUT: known["text_out"],
    }
    if any(count < 0 for count in found.values()):
        return None
    return Settlement({kind: count for kind, count in found.items() if count})


class OpenAISpeech(InBody, Uncapped):
    """`POST …/audio/speech`: the answer is audio, and says nothing of its cost."""

    api = "openai_speech"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = model_name(values.get("model"))
        refuse_unknown(found, values, _SPEECH_PARAMETERS)
        text = values.get("input")
        if not isinstance(text, str):
            raise refused("`input` is not a text")
        by_character = _BY_CHARACTER.match(model) is not None
        # UTF-16 units: never fewer than characters, whichever way they are counted.
        characters = len(text.encode("utf-16-le", "surrogatepass")) // 2
        if not by_character:
            found.unbounded("speech billed by its length", "speech")
        return Call(
            api=self.api,
            model=model if by_character else "",
            unbounded=found.why_unbounded,
            unbounded_kinds=found.unbounded_kinds,
            usage_tells_all=found.usage_tells_all,
            fixed_usage={CHARACTERS: characters}
            if by_character and not found.why_unbounded
            else None,
            extra={CHARACTERS: characters} if by_character else {},
            input_kinds=(CHARACTERS,),
            output=None,
        )


class OpenAITranscription(Uncapped):
    """`POST …/audio/transcriptions`: a form with the audio in it."""

    api = "openai_transcription"

    def parse(self, body: bytes) -> Call:
        found = _MODEL_PART.search(body)
        model = "" if found is None else found[1].decode("utf-8", "replace").strip()
        return Call(
            api=self.api,
            model=model_name(model) if model else "",
            unbounded=CEILINGS["transcription"],
            unbounded_kinds=("transcription",),
            input_kinds=(AUDIO_SECONDS,),
            output=None,
        )

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        found = _MODEL_PART.search(body)
        if found is None:
            raise refused("the form has no model that another could take the place of")
        return Addressed(url, body[: found.start(1)] + model.encode() + body[found.end(1) :])

    def usage(self, body: bytes) -> Settlement | None:
        """Seconds, rounded up; None for models billed by tokens, which the book does not list."""
        answer = answer_object(body)
        usage = answer.get("usage") if answer is not None else None
        if not isinstance(usage, dict) or usage.get("type") != "duration":
            return None
        seconds = usage.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
            return None
        if not 0 <= seconds < _SECONDS_MAX:
            return None
        whole = math.ceil(seconds)
        return Settlement({AUDIO_SECONDS: whole} if whole else {})
