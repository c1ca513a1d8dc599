"""Encoders: text in, unit vector out; vectors through the store; names to encoders."""
