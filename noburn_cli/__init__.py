"""noburn: know what an LLM call costs before it leaves, and stop it when the money is gone."""
