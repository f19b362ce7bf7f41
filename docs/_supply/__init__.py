"""The supply of the project: known vulnerabilities of what it depends on, and licences."""
