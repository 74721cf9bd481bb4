"""Words proposed by a language model: asked, checked, approved by a person, and only then put into a draft.

What it promises and how: docs/drafts.md.
"""
