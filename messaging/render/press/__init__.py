"""The press: from an author's sources to the parts of a frozen version, in a process that may be lost.

MJML, CSS and HTML tools are fast and trusting: fifty kilobytes of rules and elements make a hundred megabytes, and a
tag nested ten thousand deep overflows their stack and takes the process with it. So they run here and nowhere else.
"""
