"""The pages: select -> data -> figure -> draw. All computing is the engine's."""
