"""The rooms of the house: a module imports only its own room and the rooms before it, never in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest

import lzc_flows

ROOT = Path(lzc_flows.__file__).parent

# ground floor first; rooms of one list share a floor
ROOMS = [
    ["settings", "errors", "files", "processes", "data"],
    ["documents"],
    ["crystal"],
    ["trajectory"],
    ["transport", "dynamics"],
    ["band"],
    ["hopping"],
    ["ranking"],
    ["report"],
    ["engines"],
    # a stand-in for VASP, whose forces are an engine's
    ["rehearsal"],
    # recovery wraps the engines' workers in custodian jobs
    ["recovery"],
    ["database"],
    ["jobs"],
    ["flows"],
    ["launch"],
    # campaigns for notebooks, and for the page
    ["api"],
    ["web"],
    ["cli"],
]
FLOOR = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
HEAVY = {"pymatgen", "numba", "matplotlib", "mendeleev"}
FOR_FEW_JOBS = {
    *("atomate2.vasp", "custodian", "h5py", "matplotlib", "mendeleev", "numba", "pandas", "pymatgen.io.vasp"),
    *("pymatgen.symmetry", "scipy.interpolate", "scipy.signal", "scipy.stats", "sympy"),
}
"""What takes long to import and only some jobs need, or only a ranking."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def room_of(module: str) -> str | None:
    """The room of a module; None for the package itself, which holds only its version."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def imported(module: str, tree: ast.AST) -> set[str]:
    """All that a tree imports, absolute: `from a import b` is `a.b` where that is one of our modules."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            names = {f"{source}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else source for name in names}
    return found


def own(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "lzc_flows"}


OWN_IMPORTS = {module: own(imported(module, parsed(module))) for module in MODULES}


def test_the_parser_sees_imports() -> None:
    """Guards the guard: these imports are there, at the top, in a function, of several names."""
    assert "lzc_flows.crystal.host" in OWN_IMPORTS["lzc_flows.crystal.doping"]
    assert "lzc_flows.engines.mlip" in OWN_IMPORTS["lzc_flows.engines.relax_worker"]
    tree = ast.parse("from . import host\nfrom ..errors import InputError\nfrom lzc_flows import crystal")
    assert imported("lzc_flows.crystal.doping", tree) == {
        "lzc_flows.crystal.host",
        "lzc_flows.errors",
        "lzc_flows.crystal",
    }


def test_every_module_has_a_room() -> None:
    strangers = {module for module in MODULES if room_of(module) not in {*FLOOR, None}}
    assert strangers == set()


@pytest.mark.parametrize("module", MODULES)
def test_imports_exist_and_come_from_below(module: str) -> None:
    for target in OWN_IMPORTS[module]:
        assert find_spec(target) is not None, f"{module} imports {target}, which is not there"
        here, there = room_of(module), room_of(target)
        if there is None or here == there:
            continue
        assert here is not None, f"the package itself imports {target}"
        assert FLOOR[there] < FLOOR[here] or FLOOR[here] == 0 == FLOOR[there], (
            f"{module} imports {target}: {there} is not below {here}"
        )


def test_no_circular_imports() -> None:
    """Imports in functions and for type checkers count as well."""
    graph = {module: targets - {module, "lzc_flows"} for module, targets in OWN_IMPORTS.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circular imports: {' → '.join(error.args[1])}")


def test_the_command_line_starts_without_heavy_packages() -> None:
    code = f"import sys, lzc_flows.cli.main; print(*sorted({HEAVY} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize(
    "module", ["flows.candidate", "flows.coverage", "flows.treatable", "launch.allocation", "launch.worker"]
)
def test_batch_jobs_and_workers_start_without_what_few_jobs_need(module: str) -> None:
    code = f"import sys, lzc_flows.{module}; print(*sorted({FOR_FEW_JOBS} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_queries_need_no_tables() -> None:
    code = "import sys, lzc_flows.database.queries, lzc_flows.launch.status; print('pandas' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False"]
