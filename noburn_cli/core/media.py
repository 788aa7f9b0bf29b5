"""What of a request's input is no text: an image, a document, a recording, as the request has it.

Layer: core (frozen data, standard library, Python 3.10: codecs make it in guests).
Above: the codecs, which find it; core.media_tokens, which says how many tokens are expected of it.
Not here: what it takes at most (the codecs' overhead and window).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

IMAGE, PDF, AUDIO, VIDEO = "image", "pdf", "audio", "video"

_DATA_URL = re.compile(r"data:(?P<mime>[\w.+/-]{0,100})(?:;[\w.=+-]{1,100}){0,8}?;base64,")


@dataclass(frozen=True)
class Media:
    """One piece of media.

    kind: `image`, `pdf`, `audio` or `video`.
    data: its bytes in Base64, with or without a data URL's head; "" where the request only names it
        (an address, a stored file), so that nothing of it is known.
    detail: how closely the model is to look at it, in the provider's own word.
    """

    kind: str
    data: str = ""
    detail: str = ""

    def content(self) -> bytes:
        """The bytes; none where the request does not have them, or they are no Base64."""
        head = _DATA_URL.match(self.data)
        packed = self.data[head.end() :] if head else self.data
        try:
            return base64.b64decode(packed)
        except (binascii.Error, ValueError):
            return b""


def data_of(address: object) -> str:
    """A data URL as it is; "" for any other address, whose content is elsewhere."""
    return address if isinstance(address, str) and address.startswith("data:") else ""
