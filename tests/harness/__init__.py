"""What the tests use to run the real program and to talk to it."""
