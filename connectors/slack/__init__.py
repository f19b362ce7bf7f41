"""Slack, out of an archive that slackdump makes or over the Web API."""
