"""One evaluation: its manifest, how it is made and read, and checks of the data behind it."""
