"""The cell: everything that touches a template's source. It knows Jinja2 and nothing of the house.

The same modules run in the parent, which reads and refuses, and in the kept child, which alone compiles and
renders. There the package is imported as `cell`, without Django, settings, environment or database.
"""
