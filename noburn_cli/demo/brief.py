"""What the demo's agent works on: a brief, its questions, and which model answers what.

Layer: demo, pure.  Above: agent, rush, scenes.
"""

from __future__ import annotations

#: Drafts are planned by one provider's model and written by the other's.
PLANNER = "gpt-6.1-terra"
WRITER = "claude-sonnet-5-5"
RUSH_MODEL = "gpt-6.1-sol"

#: The agent asks the writer for so many tokens at most, and the planner for no maximum at all.
WRITER_CAP_TOKENS = 600
RUSH_CAP_TOKENS = 400

BRIEF = """\
You write for the yearbook of a small harbour. Use the log below and nothing else.

The ice went out on the ninth of April, eleven days later than the year before. The first ship
in was the coal boat from the south, and the pilot's launch met her at the outer buoy. In May
the dredger worked the north channel for three weeks and left it at seven metres. The ferry ran
every day but four. In August a timber ship lay on the bar for two tides and came off without
damage. The new crane lifted its first load on the second of September. By the end of October
the quay had handled forty thousand tonnes, of which half was grain, a third was timber, and the
rest was whatever the coast needed.
"""

QUESTIONS = (
    "How did the winter end, and what did that cost the harbour?",
    "What did the dredger change for the larger ships?",
    "Tell the story of the timber ship on the bar.",
    "What did the new crane make possible?",
    "How reliable was the ferry, and why does that matter here?",
    "Compare the grain and the timber of the year.",
    "What should the harbour board decide next?",
    "Write the closing page.",
)


def prompt_for(question: str) -> str:
    """One request's text."""
    return f"{BRIEF}\n{question}"


RUSH_PROMPT = "Answer one customer's question about opening hours, in full, with every exception."
