#!/bin/sh
# Makes the secrets of compose.yaml, each in a file of docker/secrets. A file that is there stays as it is.
# A docker/.env of an earlier version is heeded: its passwords and its key go on.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

# The value of a variable in docker/.env, or nothing.
earlier() { if [ -f .env ]; then sed -n "s/^$1=//p" .env | tail -n 1; fi; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
key() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
# The directory is the owner's alone; in a container the file itself is seen, and read by the account 10001.
keep() { if [ ! -s "secrets/$1" ]; then printf '%s\n' "$2" > "secrets/$1"; fi; chmod 0444 "secrets/$1"; }
of() { cat "secrets/$1"; }

password=$(earlier POSTGRES_PASSWORD)
keep postgres_password "$(random)"
keep pdpp_password "${password:-$(random)}"
keep pdpp_read_password "$(random)"
keep valkey_password "$(random)"
keep database_url "postgresql://pdpp:$(of pdpp_password)@postgres:5432/pdpp"
keep redis_url "redis://:$(of valkey_password)@valkey:6379/0"
keep broker_url "redis://:$(of valkey_password)@valkey:6379/1"
password=$(earlier PDPP_SECRET_KEY)
keep secret_key "${password:-$(key)}"
password=$(earlier PDPP_WEB_PASSWORD)
keep web_password "${password:-$(random)}"
user=$(earlier FLOWER_USER) password=$(earlier FLOWER_PASSWORD)
keep flower_basic_auth "${user:-owner}:${password:-$(random)}"
keep grafana_password "$(random)"
