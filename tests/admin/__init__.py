"""The admin: its pages, its roles, its two languages."""
