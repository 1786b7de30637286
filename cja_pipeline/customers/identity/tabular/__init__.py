"""People in any table: columns recognised, dates and names read, and a model learnt from the table itself.

Start at `file.resolve_file` (a file) or ``dataframe.resolve`` (a DataFrame).
"""
