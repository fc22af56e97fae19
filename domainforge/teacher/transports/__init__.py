"""How a request travels: three ways under one contract."""
