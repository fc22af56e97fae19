from pathlib import Path

import pytest

from domainforge.errors import ConfigError
from domainforge.generation.tasks import TaskConfig, make_tasks
from tests.generation.prompts import QA, make_prompt


@pytest.mark.parametrize("name", ["given", "replay"])
def test_no_prompt_has_the_name_by_which_other_rows_are_known(tmp_path: Path, name: str) -> None:
    prompt = make_prompt(tmp_path, QA, name)
    with pytest.raises(ConfigError, match=f"may be called {name}.*rename the file"):
        make_tasks([TaskConfig(prompt=name)], lambda wanted: prompt)
