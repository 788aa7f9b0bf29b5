"""How the demo's programs speak to a provider: with the real SDKs, or over plain HTTP.

Layer: demo.  Below: demo.plain_voice (only without the SDKs).  Above: agent, rush.
With the SDKs a program knows nothing of noburn: `noburn run` stands in front of its calls.  Without
them nothing is hooked, so the calls go through noburn's guard explicitly, and the demo says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

SDKS = ("openai", "anthropic")
INSTALL_LINE = "pip install 'noburn-cli[demo]'"


@dataclass(frozen=True)
class Said:
    """An answer.  pieces: parts of the stream; cut: the provider ended it at its cap."""

    output_tokens: int
    input_tokens: int
    pieces: int
    cut: bool


class StoppedError(Exception):
    """A call that did not leave, as the program saw it.

    seen_as: the name of the error, with its module.  status: of the answer.
    """

    def __init__(self, seen_as: str, status: int, message: str) -> None:
        super().__init__(message)
        self.seen_as = seen_as
        self.status = status
        self.message = message


class Voice(Protocol):
    """The three ways in which the demo calls a model."""

    name: str

    def warm_up(self) -> None:
        """Load what the first call would load, so that calls start together."""

    def respond(self, model: str, prompt: str) -> Said:
        """OpenAI Responses, streamed, without a cap of its own.  Raises StoppedError."""

    def write(self, model: str, prompt: str, *, cap: int) -> Said:
        """Anthropic messages, streamed.  Raises StoppedError."""

    def chat(self, model: str, prompt: str, *, cap: int) -> Said:
        """OpenAI chat completions, in one piece.  Raises StoppedError."""


def have_sdks() -> bool:
    return all(find_spec(name) is not None for name in SDKS)


def choose_voice() -> Voice:
    """The SDKs where both are installed."""
    if have_sdks():
        return SdkVoice()
    from noburn_cli.demo.plain_voice import PlainVoice

    return PlainVoice()


class SdkVoice:
    """The current openai and anthropic SDKs, as anybody uses them."""

    def __init__(self) -> None:
        from importlib.metadata import version

        self.name = ", ".join(f"{sdk} {version(sdk)}" for sdk in SDKS)
        self._openai: Any = None
        self._anthropic: Any = None

    def _openai_client(self) -> Any:
        if self._openai is None:
            import openai

            self._openai = openai.OpenAI()
        return self._openai

    def _anthropic_client(self) -> Any:
        if self._anthropic is None:
            import anthropic

            self._anthropic = anthropic.Anthropic()
        return self._anthropic

    def warm_up(self) -> None:
        self._openai_client()

    def respond(self, model: str, prompt: str) -> Said:
        client = self._openai_client()
        pieces = 0
        final: Any = None
        try:
            with client.responses.create(model=model, input=prompt, stream=True) as stream:
                for event in stream:
                    pieces += event.type == "response.output_text.delta"
                    if event.type in ("response.completed", "response.incomplete"):
                        final = event.response
        except Exception as error:
            raise _stopped(error) from error
        return Said(
            output_tokens=final.usage.output_tokens,
            input_tokens=final.usage.input_tokens,
            pieces=pieces,
            cut=final.status == "incomplete",
        )

    def write(self, model: str, prompt: str, *, cap: int) -> Said:
        client = self._anthropic_client()
        messages = [{"role": "user", "content": prompt}]
        try:
            with client.messages.stream(model=model, max_tokens=cap, messages=messages) as stream:
                pieces = sum(1 for _ in stream.text_stream)
                final = stream.get_final_message()
        except Exception as error:
            raise _stopped(error) from error
        return Said(
            output_tokens=final.usage.output_tokens,
            input_tokens=final.usage.input_tokens,
            pieces=pieces,
            cut=final.stop_reason == "max_tokens",
        )

    def chat(self, model: str, prompt: str, *, cap: int) -> Said:
        client = self._openai_client()
        messages = [{"role": "user", "content": prompt}]
        try:
            answer = client.chat.completions.create(
                model=model, messages=messages, max_completion_tokens=cap
            )
        except Exception as error:
            raise _stopped(error) from error
        return Said(
            output_tokens=answer.usage.completion_tokens,
            input_tokens=answer.usage.prompt_tokens,
            pieces=1,
            cut=answer.choices[0].finish_reason == "length",
        )


def _stopped(error: Exception) -> Exception:
    """An SDK's own error for a refused call as StoppedError; anything else as it is."""
    status = getattr(error, "status_code", None)
    if status is None:
        return error
    kind = type(error)
    body = getattr(error, "body", None)
    said = body.get("error", body) if isinstance(body, dict) else None
    message = said.get("message") if isinstance(said, dict) else None
    name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    return StoppedError(name, int(status), str(message or error))
