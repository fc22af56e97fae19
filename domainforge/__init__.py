"""DomainForge turns documents into a small language model that knows them, and proves it."""

__version__ = "0.1.0"
