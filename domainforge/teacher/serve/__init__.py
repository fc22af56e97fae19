"""Servers that DomainForge starts itself, under one supervisor: embedded, llama.cpp, vLLM."""
