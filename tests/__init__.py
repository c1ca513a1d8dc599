"""The tests and what they share; a regular package, since a dependency installs one of the same name."""
