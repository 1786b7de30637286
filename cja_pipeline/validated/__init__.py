"""Room 2: what landed becomes typed rows that passed their rules; the others are kept out, with the reason.

``load`` (module ``load``) fills the tables, ``check`` (module ``runner``) examines any table of the warehouse
by its suite, ``suite_checks`` (module ``suites``) lists the checks without loading Great Expectations.
"""
