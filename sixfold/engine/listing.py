"""What an endpoint tells of itself: which server it is, which model to name, how long its context is, how many slots it has.

Place: read before any work, since it is the cheapest way to find out that an address, a page or a key is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sixfold.engine.dialects import DIALECTS, Dialect
from sixfold.engine.remote import RemoteEngine
from sixfold.errors import EngineError

_NO_LIST = frozenset({400, 404, 405, 410, 501})


@dataclass(frozen=True, slots=True)
class Listing:
    """What `GET /models` told: ids in the server's order, how it signs them, and the context of each, in tokens."""

    ids: tuple[str, ...] = ()
    owner: str = ""
    context_tokens: Mapping[str, int] = field(default_factory=dict)


async def read_models(engine: RemoteEngine) -> Listing | None:
    """The models that the endpoint lists; `None` where it has no list. Raises `EngineError` for an address that nobody
    answers at or that is not an API, and for a wrong key: this is the cheapest way to find out."""
    page = await engine.get(f"{engine.url}/models")
    if page.status in _NO_LIST:
        return None
    if page.status != 200:
        raise engine.refusal(page)
    data = page.json()
    models = data.get("data") if isinstance(data, dict) else None
    if not isinstance(models, list):
        raise EngineError(
            f"{engine.url}/models answered with {page.kind or 'no media type'}, not with a list of models",
            kind="protocol", hint="give the address of an OpenAI-compatible API; it usually ends in /v1",
        )  # fmt: skip
    models = [m for m in models if isinstance(m, dict) and isinstance(m.get("id"), str)]
    owner = next((m["owned_by"] for m in models if isinstance(m.get("owned_by"), str)), "")
    contexts = {m["id"]: tokens for m in models if (tokens := _context(m))}
    return Listing(tuple(m["id"] for m in models), owner.lower(), contexts)


@dataclass(frozen=True, slots=True)
class Props:
    """What llama-server's `/props` tells: the context of one slot, in tokens, and how many slots there are."""

    context_tokens: int | None = None
    slots: int | None = None


async def read_props(engine: RemoteEngine) -> Props:
    """The page `/props`, as far as there is one: other servers have none, and some do not show theirs."""
    try:
        page = await engine.get(f"{engine.url.removesuffix('/v1')}/props")
    except EngineError:
        return Props()
    data = page.json() if page.status == 200 else None
    if not isinstance(data, dict):
        return Props()
    settings = data.get("default_generation_settings")
    return Props(_count(settings.get("n_ctx") if isinstance(settings, dict) else None), _count(data.get("total_slots")))


def _count(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _context(model: Mapping[str, Any]) -> int | None:
    meta = model["meta"] if isinstance(model.get("meta"), dict) else {}
    found = (model.get("max_model_len"), model.get("context_length"), model.get("context_window"), meta.get("n_ctx"))
    return next((value for value in found if _count(value)), None)


def recognise(dialect: Dialect, listing: Listing | None) -> Dialect:
    """The dialect of a bare URL, as far as its list of models is signed."""
    if dialect.name != "compatible" or listing is None:
        return dialect
    return next((d for d in DIALECTS.values() if d.owner and d.owner == listing.owner), dialect)


def pick_model(dialect: Dialect, listing: Listing | None, wanted: str) -> str:
    """The model to name in requests: the wanted one, else the only one. Empty where the server does not need a name."""
    ids = listing.ids if listing else ()
    if wanted or not ids:
        return wanted
    if len(ids) == 1 or dialect.one_model:
        return ids[0]
    raise EngineError(
        f"the engine has {len(ids)} models and none was chosen", kind="refused",
        hint=f"set engine.model to one of {', '.join(ids[:8])}{', ...' if len(ids) > 8 else ''}",
    )  # fmt: skip
