"""May the numbers be trusted: what happens to rows between the rooms, orders three ways, the quality page,
and how well planted faults are found.

The rules of single tables are in room 2 (``validated/suites``); here is what goes across rooms.
"""
