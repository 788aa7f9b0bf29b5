"""A LangChain and LangGraph program that knows nothing of noburn: every way to make a call.

Prints nothing; the ledger tells which step each call was made in.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from typing import Annotated, Any, TypedDict

import openai
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode

model = ChatOpenAI(model="gpt-6-luna", max_completion_tokens=20, max_retries=0, timeout=120)
raw = openai.OpenAI(max_retries=0, timeout=120)
prompt = ChatPromptTemplate.from_template("say {x}")


def ask_raw() -> None:
    raw.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=20
    )


def plain() -> None:
    model.invoke("on its own")
    ask_raw()


def chains() -> None:
    summary = (prompt | model | StrOutputParser()).with_config(run_name="summary")
    summary.invoke({"x": "1"})
    for _ in summary.stream({"x": "2"}):
        pass
    for _ in summary.stream({"x": "abandoned"}):
        break
    ask_raw()  # Outside of any step again.
    RunnableParallel(joke=summary, poem=prompt | model).invoke({"x": "3"})
    (prompt | model | RunnableLambda(lambda message: model.invoke([message]))).invoke({"x": "4"})
    summary.batch([{"x": "5"}, {"x": "6"}])


async def awaited() -> None:
    summary = (prompt | model | StrOutputParser()).with_config(run_name="async summary")
    await asyncio.gather(*(summary.ainvoke({"x": str(number)}) for number in range(3)))
    async for _ in summary.astream({"x": "streamed"}):
        pass
    async for _ in summary.astream_events({"x": "events"}, version="v2"):
        pass


@tool
def search(query: str) -> str:
    """Ask the model about the query."""
    return str(model.invoke(query).content)


@tool
def lookup(query: str) -> str:
    """Look it up without LangChain."""
    ask_raw()
    return query


class State(TypedDict):
    messages: Annotated[list[Any], operator.add]


def call(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "args": {"query": str(number)}, "id": f"{name}{number}"}


def research(_: State) -> dict[str, Any]:
    (prompt | model).invoke({"x": "plan"})
    asked = [call("search", number) for number in range(4)] + [call("lookup", 9)]
    return {"messages": [AIMessage("", tool_calls=asked)]}


def remember(_: State) -> dict[str, Any]:
    OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_query(
        "remember this"
    )
    return {"messages": []}


async def write(_: State) -> dict[str, Any]:
    await model.ainvoke("write")
    return {"messages": []}


def make_graph() -> Any:
    inner = StateGraph(State)
    inner.add_node("draft", lambda _: {"messages": [model.invoke("draft")]})
    inner.add_edge(START, "draft")
    graph = StateGraph(State)
    graph.add_node("research", research)
    graph.add_node("remember", remember)
    graph.add_node("tools", ToolNode([search, lookup]))
    graph.add_node("write", write)
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "research")
    graph.add_edge(START, "remember")
    graph.add_edge("research", "tools")
    graph.add_edge("tools", "write")
    graph.add_edge("write", "inner")
    graph.add_edge("inner", END)
    return graph.compile()


async def every_awaited() -> None:
    await awaited()
    await make_graph().ainvoke({"messages": []})


if __name__ == "__main__":
    if "--instrument" in sys.argv:
        import noburn_cli.langchain

        noburn_cli.langchain.instrument()
    plain()
    chains()
    asyncio.run(every_awaited())
    ask_raw()
