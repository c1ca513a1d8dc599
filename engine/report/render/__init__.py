"""How a report is written: one HTML page, LaTeX, Markdown, and image files."""
