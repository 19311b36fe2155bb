"""docs/simulator.md names each fault and each of its keys."""

from pathlib import Path
from typing import get_args

from tapeline.sim import faults

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def test_each_fault_is_documented_with_its_keys():
    rows = {line.split("`")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}
    for kind in get_args(faults.AnyFault):
        name = kind.__struct_config__.tag
        shared = {"venue", "stream", "after", "every", "times", "delay", "repeat"}
        assert name in rows, f"{name} has no row"
        for key in set(kind.__struct_fields__) - shared:
            assert f"`{key}`" in rows[name], f"{name}: {key}"
        if kind.__doc__ is None or name == "malformed":
            for how in get_args(kind.__annotations__["how"]):
                assert f"`{how}`" in rows[name]
