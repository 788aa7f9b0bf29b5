"""In which region a call to Amazon Bedrock is billed, by the host's region and the model's id.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.
Above: providers.routes (calls), estimating (`--region`).
Owns: which calls cost what us-east-1 does, and which have a price of their region (core.variants).
Not here: what they cost there (the price book).
Sources, read 2026-11-27: "the price is calculated basis the region you made the request in (source
region)" (https://aws.amazon.com/bedrock/pricing/); which regions may call which profile,
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html.
"""

from __future__ import annotations

#: What the price book's names of Bedrock's models begin with.
PREFIX = "bedrock/"
#: The region whose prices stand in the book's rows without a region.
HOME = "us-east-1"
#: The regions in whose profiles a model has a price of its own in the book, by the id's prefix.
_GEOGRAPHIES = {
    "us": ("us-",),
    "eu": ("eu-",),
    "apac": ("ap-",),
    "au": ("ap-southeast-",),
    "in": ("ap-south-",),
    "jp": ("ap-northeast-",),
    "global": ("us-", "eu-", "ap-", "ca-", "sa-", "mx-", "me-", "il-", "af-"),
}
#: Its own rates, another partition, and no source of the profiles above.
_GOVERNMENT = "us-gov-"
#: Amazon's own models cost what the source region does under `global.` as well: Nova 2 Pro 0.00201
#: in eu-south-1, 0.00125 in us-east-1 (costpulse on PyPI, read 2026-11-27).
_AMAZON = "amazon."


def billed_region(model: str, region: str) -> str:
    """The region for `core.variants.with_region`; "" where the call costs what the book's rows say.

    model: the price book's name.  region: that of the host, or of `--region`; "" when not known.
    Other providers' models are billed in the region as it is.
    """
    if not model.startswith(PREFIX):
        return region
    if region == HOME:
        return ""
    geography, _, rest = model.removeprefix(PREFIX).partition(".")
    if geography == "global" and rest.startswith(_AMAZON):
        geography = "us"
    sources = _GEOGRAPHIES.get(geography, ())
    inside = region.startswith(sources) and not region.startswith(_GOVERNMENT)
    return "" if inside else region
