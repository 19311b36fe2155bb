"""How long a new Python takes to `import tapeline`, and `tapeline --help` to answer, beside a Python that does nothing.

    python bench/imports.py [--short] [--json]

Wall time of whole processes, medians of several rounds that take turns; the first round, which may compile, is left out.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import tapeline": [sys.executable, "-c", "import tapeline"],
    "tapeline --help": [sys.executable, "-m", "tapeline", "--help"],
}


def measure(rounds: int) -> dict[str, float]:
    """Seconds, median, by case."""
    spent: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds + 1):
        for name, command in CASES.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            spent[name].append(time.perf_counter() - began)
    return {name: statistics.median(s[1:]) for name, s in spent.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="one round")
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    results = measure(1 if given.short else given.rounds)
    if given.json:
        print(json.dumps({"imports": results}))
        return
    for name, seconds in results.items():
        print(f"{name:16} {seconds * 1000:6.0f} ms")


if __name__ == "__main__":
    main()
