"""Options, the number of examples, the device, and where each comparison is recorded."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress

import pytest
from hypothesis import settings

from ddpm_mindspore.accelerated.system.runtime import DEVICES, select_device
from ddpm_mindspore.parity.judgement.compare import LEDGER
from ddpm_mindspore.parity.judgement.explain import explain
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.report.workers import take_a_core

take_a_core()
settings.register_profile("nightly", max_examples=budget.NIGHTLY_EXAMPLES)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("parity", "does the device compute what the reference says?")
    with suppress(ValueError):  # loaded twice: by -p, and as the folder's conftest
        group.addoption(
            "--device", default="auto", choices=DEVICES, help="what to check (default: %(default)s)"
        )
        group.addoption(
            "--examples",
            type=int,
            metavar="N",
            help=f"cases for each cheap property, and in proportion for the others (default: "
            f"{budget.EXAMPLES}, with --hypothesis-profile=nightly "
            f"{budget.NIGHTLY_EXAMPLES})",
        )


def pytest_configure(config: pytest.Config) -> None:
    nightly = config.getoption("hypothesis_profile", None) == "nightly"
    asked = config.getoption("examples", None)
    usual = budget.NIGHTLY_EXAMPLES if nightly else budget.EXAMPLES
    budget.BUDGET.examples = usual if asked is None else asked
    # The everyday run draws the same examples each time; a seed, or a long run, draws others.
    seed = config.getoption("hypothesis_seed", None)
    budget.BUDGET.fixed = seed is None and not nightly
    # Who wants to hear of the first failure only does not wait for its smallest example.
    budget.BUDGET.shrink = config.getoption("maxfail", 0) != 1


@pytest.fixture(scope="session", autouse=True)
def device(pytestconfig: pytest.Config) -> str:
    try:
        return select_device(pytestconfig.getoption("device", "auto"))
    except ValueError as error:
        pytest.exit(str(error), returncode=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure of a whole computation, its first part that is wrong."""
    report = yield
    finding = explain(call.excinfo.value) if call.excinfo is not None else None
    if finding is not None:
        report.sections.append(("first divergence", finding.text()))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    LEDGER.start(item.nodeid)
