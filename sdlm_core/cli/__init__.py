"""The commands, one file each: their options, what they print, what they write. The work itself is done elsewhere."""
