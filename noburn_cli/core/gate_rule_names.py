"""The rules of [gate] and [[gate.prompt]], by their keys there.

Layer: core.  Below: nothing: a configuration is read with it at every start.
Above: core.gate_tables, which reads the keys; core.gate_model, from which all others take them.
"""

from __future__ import annotations

PER_CALL_MAX = "per_call_max"
WORST_CALL_MAX = "worst_call_max"
PER_MONTH_MAX = "per_month_max"
PER_CUSTOMER_MONTH_MAX = "per_customer_month_max"
GROWTH_MAX = "growth_max"
MARGIN_MIN = "margin_min"
WINDOW_SHARE_MAX = "window_share_max"
MODELS = "models"
RULES = (
    *(PER_CALL_MAX, WORST_CALL_MAX, PER_MONTH_MAX, PER_CUSTOMER_MONTH_MAX),
    *(GROWTH_MAX, MARGIN_MIN, WINDOW_SHARE_MAX, MODELS),
)
