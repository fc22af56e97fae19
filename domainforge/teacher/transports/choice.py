"""Which transport a teacher's requests take."""

from domainforge.teacher.config import TeacherConfig
from domainforge.teacher.endpoint import Endpoint
from domainforge.teacher.transports.contract import Transport


def open_transport(endpoint: Endpoint, config: TeacherConfig) -> Transport:
    """Make the transport that the pipeline file names; needs a running event loop."""
    if config.transport == "openai":
        from domainforge.teacher.transports.openai_sdk import OpenAITransport

        return OpenAITransport(endpoint, config.timeout_seconds)
    if config.transport == "langchain":
        from domainforge.teacher.transports.langchain_chat import LangChainTransport

        return LangChainTransport(endpoint, config.timeout_seconds)
    from domainforge.teacher.transports.direct import DirectTransport

    return DirectTransport(endpoint, config.timeout_seconds)
