"""Identity measured on a world of known people, beside how others would find them. Start at `run.run`."""
