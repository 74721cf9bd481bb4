"""The one log of facts: the only room that appends to it, and the only order in which it is read."""
