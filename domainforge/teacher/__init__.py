"""The teacher: an OpenAI-compatible endpoint or the embedded model, behind a ledger of replies."""
