"""The theatre: the one component that draws a trace, in the page and in exported files."""
