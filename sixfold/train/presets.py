"""Recipes by name or path, with presets laid over them.

Place: every training command begins here. A recipe is a TOML file; what stands below `[presets.NAME]` is merged over the rest,
key by key, where that preset is asked for. `--set` comes after the preset. What a key means is in `recipe.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sixfold.config import make_config, read_toml
from sixfold.errors import ConfigError
from sixfold.train.recipe import Recipe

SHIPPED = Path(__file__).resolve().parents[1] / "recipes"


def load_recipe(spec: str, preset: str = "", overrides: Sequence[str] = ()) -> Recipe:
    """The recipe `spec` (a TOML file, or the name of one in `recipes/`, of this folder or of the package), with a preset and
    `key=value` overrides.

    Raises `ConfigError` for a recipe, a preset or a key that there is not, with the nearest one that there is.
    """
    data = read_toml(find_recipe(spec))
    presets = data.pop("presets", {})
    if not isinstance(presets, dict) or not all(isinstance(p, dict) for p in presets.values()):
        raise ConfigError(f"{spec}: presets is not a table of tables", hint="write [presets.quick] and settings below it")
    if preset and preset not in presets:
        raise ConfigError(f"{spec} has no preset {preset!r}", hint=_choice(preset, list(presets), "it has no presets"))
    for name, laid in presets.items():
        # One that is not asked for is checked too: its mistakes must not wait for a later day.
        merged = merge(data, laid)
        make_config(Recipe, merged, overrides if name == preset else ())
        if name == preset:
            chosen = merged
    return make_config(Recipe, chosen if preset else data, overrides)


def find_recipe(spec: str) -> Path:
    """The file of a recipe. Raises `ConfigError` with the nearest name."""
    path = Path(spec).expanduser()
    if path.suffix == ".toml" or "/" in spec:
        return path
    folders = [f for f in (Path("recipes"), SHIPPED) if f.is_dir()]
    for folder in folders:
        if (found := folder / f"{spec}.toml").is_file():
            return found
    names = sorted({p.stem for folder in folders for p in folder.glob("*.toml")})
    raise ConfigError(f"there is no recipe {spec!r}", hint=_choice(spec, names, "give a TOML file"))


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`under` with what `over` says, tables merged key by key.

    >>> merge({"sft": {"epochs": 1, "warmup": 0.1}}, {"sft": {"epochs": 3}})
    {'sft': {'epochs': 3, 'warmup': 0.1}}
    """
    merged = dict(under)
    for key, value in over.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _choice(given: str, names: Sequence[str], without: str) -> str:
    near = difflib.get_close_matches(given, names, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}" if names else without
