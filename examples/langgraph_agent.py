"""A LangGraph agent: a plan, eight tools at once that each ask the model, and a summary.

    pip install langgraph langchain-openai
    noburn run --budget 0.01 -- python examples/langgraph_agent.py
    noburn report --by step

It knows nothing of noburn.  When the budget ends in the middle, the graph ends with the provider's
own kind of error; the last line says how, and how often each step asked.  Without a key, start a
stub in another terminal, `python -m noburn_cli.demo.stub --print-url`, and set OPENAI_API_KEY=any
and OPENAI_BASE_URL=URL/v1 with the URL that it prints.
"""

from __future__ import annotations

import json
import operator
import sys
import threading
from typing import Annotated, Any, TypedDict

import openai
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode

TOOLS = 8
model = ChatOpenAI(model="gpt-6-luna", max_completion_tokens=40, timeout=60)
lock = threading.Lock()
asked = {"plan": 0, "search": 0, "summary": 0}


def ask(step: str, text: str) -> str:
    with lock:
        asked[step] += 1
    return str(model.invoke(text).content)


@tool
def search(number: int) -> str:
    """Ask the model about one part."""
    return ask("search", f"Tell me of part {number}.")


class State(TypedDict):
    messages: Annotated[list[Any], operator.add]


def plan(_: State) -> dict[str, Any]:
    ask("plan", "Make me a plan.")
    calls = [
        {"name": "search", "args": {"number": number}, "id": f"call{number}"}
        for number in range(TOOLS)
    ]
    return {"messages": [AIMessage("", tool_calls=calls)]}


def summary(_: State) -> dict[str, Any]:
    return {"messages": [AIMessage(ask("summary", "Sum it up."))]}


graph = StateGraph(State)
graph.add_node("plan", plan)
graph.add_node("tools", ToolNode([search]))
graph.add_node("summary", summary)
graph.add_edge(START, "plan")
graph.add_edge("plan", "tools")
graph.add_edge("tools", "summary")
graph.add_edge("summary", END)

if __name__ == "__main__":
    ended: dict[str, Any] = {"error": None, "status": None, "code": None, "message": ""}
    try:
        graph.compile().invoke({"messages": []})
    except openai.APIStatusError as error:
        ended.update(
            error=type(error).__name__, status=error.status_code, code=error.code,
            message=error.message,
        )  # fmt: skip
    print(json.dumps({**ended, "asked": asked}))
    sys.exit(0)
