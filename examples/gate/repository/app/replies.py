"""Prompts that are constants of the program."""

REFUND_PROMPT = """\
Write the message that tells a clinic its current month was refunded. Two sentences: the amount
and the card it goes back to, then when it arrives (within five working days). Use the amounts you
are given.
"""

REMINDER_PROMPT = (
    "Rewrite the reminder text below so that it fits one text message of 160 characters. "
    "Keep the placeholders in braces as they are, and the sentence on how to cancel."
)

#: Not a prompt: `constants` in noburn.toml leaves it out.
SIGNATURE = "The Planner help desk"
