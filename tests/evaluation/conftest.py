"""Two short runs on the digits, shared by all tests of this folder."""

from pathlib import Path

import pytest

from tests.helpers.runs import trained


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("evaluate")
    return {loss: trained(top / loss, "data=digits", f"loss={loss}", "model.width=0.5") for loss in ("camri", "ce")}
