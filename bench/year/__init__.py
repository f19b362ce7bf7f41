"""Whether the questions of the fleet and of its owner stay as quick after a year as they were after a month."""
