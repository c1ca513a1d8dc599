"""The ranks table: its schema, exact ranking, metrics over it, and top-k search."""
