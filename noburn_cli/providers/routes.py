"""What can be said of a request before its body is read, and what stands for a provider.

Layer: providers (frozen data).  Below: providers.codec.
Above: hosts and paths, which fill these in; registry, which decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.core.bedrock_regions import billed_region
from noburn_cli.providers.codec import Codec

#: The API families: which paths, bodies and errors a server has.
OPENAI = "openai"
ANTHROPIC = "anthropic"
GOOGLE = "google"
MISTRAL = "mistral"
BEDROCK = "bedrock"
COHERE = "cohere"
FAMILIES = (OPENAI, ANTHROPIC, GOOGLE, MISTRAL, BEDROCK, COHERE)

#: What recognise() can say.
GUARD = "guard"
FREE = "free"
REFUSED = "refused"
NOT_OURS = "not_ours"
#: Free, but its answer tells what an earlier call has cost: `codec` is a Tells.
FOLLOW = "follow"

#: The price book's prefix for the models of a family's own host; the first three have none: their
#: names are the plain ones.
_OWN_PREFIX = {MISTRAL: "mistral", BEDROCK: "bedrock", COHERE: "cohere"}


@dataclass(frozen=True)
class Upstream:
    """A base URL that stands for a provider, such as the value of OPENAI_BASE_URL.

    api_family: the API that it speaks, one of FAMILIES.
    base_url: with or without the version (`/v1`, `/v1beta`) at its end.
    provider: the price book's prefix for its models (`groq`, `azure`); "" means the family's own.
    models: (name in the request, name in the price book): deployments that are called otherwise
        than the model they run.
    region: of a host that serves one region, at its price (core.variants); "" where it costs
        nothing more.
    """

    api_family: str
    base_url: str
    provider: str = ""
    models: tuple[tuple[str, str], ...] = ()
    region: str = ""


@dataclass(frozen=True)
class Route:
    """What is to be done with a request.

    kind: GUARD (with `codec`), FREE, REFUSED (with `reason` and `next_step`) or NOT_OURS.
    provider, models, region: of a GUARD, as in Upstream.
    look_into_body: of a NOT_OURS: the path looks like a call; ask again with the body.
    """

    kind: str
    api_family: str = ""
    codec: Codec | None = None
    reason: str = ""
    next_step: str = ""
    look_into_body: bool = False
    provider: str = ""
    models: tuple[tuple[str, str], ...] = ()
    region: str = ""

    def qualified(self, model: str) -> str:
        """The name by which the price book knows the model that a request names.

        `groq/llama-…` at a provider with a prefix, the plain name at OpenAI, Anthropic and Google.
        """
        model = dict(self.models).get(model, model)
        prefix = self.provider or _OWN_PREFIX.get(self.api_family, "")
        if not prefix or model.startswith(prefix + "/"):
            return model
        return f"{prefix}/{model}"

    def region_of(self, model: str) -> str:
        """The region at whose price a call is billed; model: the price book's name of it."""
        return billed_region(model, self.region)

    def requested(self, model: str, *, instead_of: str) -> str:
        """How requests to this server name a model of the price book: the reverse of `qualified`.

        instead_of: the name in the request, which may have the provider in front or not.
        """
        prefix = self.provider or _OWN_PREFIX.get(self.api_family, "")
        if not prefix and "/" not in instead_of:
            prefix = self.api_family
        model = model.removeprefix(f"{prefix}/")
        return next((name for name, known in self.models if known == model), model)


def refused_route(family: str, reason: str, next_step: str) -> Route:
    """A request that may cost money which nothing bounds."""
    return Route(REFUSED, family, reason=reason, next_step=next_step)
