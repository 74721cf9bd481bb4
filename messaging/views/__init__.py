"""What recipients and providers reach over HTTP without logging in: each request carries a signed token or body.

GET shows, only POST acts. A token that is not good gets the same page whatever is wrong with it.
"""
