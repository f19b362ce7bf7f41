"""`python -m pdpp_worker` is `pdpp-worker`."""

from pdpp_worker.cli import main

main()
