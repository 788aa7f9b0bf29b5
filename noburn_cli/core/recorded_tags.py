"""Tags that recorded runs put on calls.

Layer: core (pure, standard library, Python 3.10).  Below: nothing.
Above: enforce.test_names and answers, which set them; gating and reports, which leave such calls
out of what production does.
"""

from __future__ import annotations

#: The test that a call is made in: `report --by tag.noburn_test`.  A name that no program has for
#: a tag of its own: real calls tagged `test` are production.
TEST = "noburn_test"
TEST_TAG = f"tag.{TEST}"
#: On a call whose answer was a recorded one.
PLAYED_TAG = "tag.replayed"
