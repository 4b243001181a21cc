"""The model over HTTP: an OpenAI-compatible API, by itself (`python -m sdlm_core serve`) or beside the page."""
