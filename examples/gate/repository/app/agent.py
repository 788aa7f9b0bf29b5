"""The agent that plans a refund: it looks, decides and writes, one call for each step."""

from openai import OpenAI

MODEL = "gpt-6.1-terra"
STEPS_MAX = 12

PLAN_PROMPT = (
    "You plan a refund for a clinic, one step at a time. Reply with the next step in one line, "
    "or with the word DONE when the plan is complete. You see the case and the steps so far."
)


def plan_refund(client: OpenAI, case: str) -> list[str]:
    """The steps of the plan; at most STEPS_MAX calls."""
    steps: list[str] = []
    while len(steps) < STEPS_MAX:
        told = "\n".join([case, *steps])
        answer = client.responses.create(
            model=MODEL, instructions=PLAN_PROMPT, input=told, max_output_tokens=120
        )
        if answer.output_text.strip() == "DONE":
            break
        steps.append(answer.output_text)
    return steps


def answer_question(client: OpenAI, question: str) -> str:
    """One call."""
    answer = client.responses.create(model=MODEL, input=question, max_output_tokens=200)
    return answer.output_text
