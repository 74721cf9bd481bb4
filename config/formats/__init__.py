"""How the admin writes dates: alike in both languages, so that columns line up and sort by eye."""
