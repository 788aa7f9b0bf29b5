"""What the agent does, at a provider that answers: `noburn run --recording agents -- pytest`."""

import pytest
from app.agent import answer_question, plan_refund
from openai import OpenAI

CASE = "The clinic sent no reminder in May and asks for the month back. It pays $80 by card."


@pytest.fixture(scope="module")
def client():
    with OpenAI() as one:
        yield one


def test_answers_a_question(client):
    assert answer_question(client, "Where are my invoices?")


def test_plans_a_refund(client):
    assert plan_refund(client, CASE)
