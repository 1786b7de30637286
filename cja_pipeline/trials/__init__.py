"""How well the methods do where the truth is known: coverage of intervals, true and false findings, cost."""
