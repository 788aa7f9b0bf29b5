"""Weights and measured errors of the offline estimates.  Written by tools/fit_offline_counts.py.

Layer: core (data).  Above: core.offline_counts.
WEIGHTS: by family, thousandths of a token for each of text_features.NAMES.
ERRORS: by family and script, (median, 95th percentile, worst) relative error in thousandths, and
the number of texts, none of which took part in finding the weights.
"""

from __future__ import annotations

#: The day of the measurement, what the truth was, and on which texts.
MEASURED_ON = "2026-11-27"
AGAINST = {
    "claude-3": "ctok 1.3.0's reconstruction for Claude 3 to 4.6",
    "claude-4.7": "ctok 1.3.0's reconstruction for Claude 4.7 and later",
    "gemini": "Gemma 3's vocabulary, with which Google counts Gemini 2.0 to 3",
}
CORPUS = "49 languages, prose, code, Markdown, JSON, HTML, base64 and emoji"

WEIGHTS: dict[str, tuple[int, ...]] = {
    "claude-3": (
        927, 0, 171, 347, -219, 285, 187, 917, 30, 1487, 348, 417,
        154, 480, 487, 520, -268, 595, 505, 778, 958, 362, -72, 2024,
        267, -881, -848, -228, -137, 175, -281, 69, 2821, 1768, 483, 503,
        3427, 1253, 866, 825, 1854,
    ),
    "claude-4.7": (
        781, 0, 406, 616, -131, 440, 252, 548, 213, 2040, 925, 469,
        188, 514, 529, 548, 21, 630, 575, 853, 861, 472, 60, 2266,
        174, 185, -15, -172, 165, -147, -226, -63, 3476, 3059, 459, 765,
        4007, 1995, 1135, 411, 2837,
    ),
    "gemini": (
        698, 0, 34, 550, -120, 540, 275, 287, 0, 1187, 97, 148,
        97, 236, 258, 136, -575, 49, 37, 218, -551, 134, -227, 753,
        167, -248, -248, 510, 92, 376, -601, 156, 688, 1318, -11, 611,
        235, 969, 515, 874, 104,
    ),
}  # fmt: skip

ERRORS: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "claude-3": {
        "latin": (31, 140, 426, 2075),
        "other": (33, 166, 248, 405),
    },
    "claude-4.7": {
        "latin": (35, 142, 248, 2075),
        "other": (32, 167, 229, 405),
    },
    "gemini": {
        "latin": (23, 100, 376, 2075),
        "other": (39, 240, 328, 405),
    },
}
