"""A large archive of slackdump's through a worker process."""
