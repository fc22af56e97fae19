"""The Batch API of a provider: half the price, replies within a day, the same ledger and rows."""
