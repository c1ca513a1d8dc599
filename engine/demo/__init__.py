"""The demo collections (`demo`, `demo-train`) and their vectors; see README.md."""
