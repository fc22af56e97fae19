"""DomainForge's ingest stage over a folder."""

import tempfile
from pathlib import Path

from reading import report

from domainforge.context import Context
from domainforge.run_folder import Inputs, Output
from domainforge.sources.config import SourceConfig
from domainforge.stages.ingest import STAGE
from domainforge.teacher.config import TeacherConfig


def read(folder: Path) -> tuple[int, int]:
    """Ingest the folder into a temporary one."""
    with tempfile.TemporaryDirectory(prefix="ingest-") as place:
        context = Context(
            seed=7,
            project=folder.parent,
            sources=(SourceConfig(files=folder.name),),
            teacher_config=TeacherConfig(embedded=True),
            student="embedded",
            exam_path=None,
            emit=lambda kind, fields: None,
        )
        out = Output(Path(place, "documents"))
        out.folder.mkdir()
        result = STAGE.run(STAGE.config(), Inputs({}), out, context)
    return int(result.figures["characters"]), sum(result.account.failed.values())


if __name__ == "__main__":
    report(read)
