"""Collections: their structure, readers for each format, languages, contamination, and the catalogue."""
