"""Triggers that watch every commit of an episode, in the database itself, and write down what must never be.

They share no code with the program: they compare the rows that a transaction leaves with the source's own list of
changes, and the writer of a cursor with the holder of the lease.
"""

from __future__ import annotations

import psycopg

INSTALL = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.changes (number int, key text, connection_id bigint, PRIMARY KEY (connection_id, number));
CREATE TABLE chaos.violations (at timestamptz DEFAULT clock_timestamp(), what text);

CREATE FUNCTION chaos.watch_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    writer text := current_setting('application_name');
    lease record;
    skipped text;
BEGIN
    SELECT * INTO lease FROM leases WHERE connection_id = NEW.connection_id;
    IF writer <> 'pdpp-worker ' || lease.holder OR lease.run_id <> NEW.run_id THEN
        INSERT INTO chaos.violations (what) VALUES (format(
            'fence: %s wrote a cursor of run %s while %s held the lease for run %s',
            writer, NEW.run_id, lease.holder, lease.run_id));
    END IF;
    SELECT string_agg(key, ', ') INTO skipped FROM chaos.changes AS change
    WHERE change.connection_id = NEW.connection_id AND NEW.stream = 'notes'
        AND change.number <= (NEW.cursor::jsonb ->> 'after')::int
        AND NOT EXISTS (SELECT FROM records AS held WHERE held.connection_id = NEW.connection_id
            AND held.stream = NEW.stream AND held.key = change.key)
        AND NOT EXISTS (SELECT FROM gaps AS gap WHERE gap.connection_id = NEW.connection_id
            AND gap.stream = NEW.stream AND gap.closed_at IS NULL AND gap.scope ->> 'resource_id' = change.key);
    IF skipped IS NOT NULL THEN
        INSERT INTO chaos.violations (what) VALUES (format('cursor %s is ahead of %s', NEW.cursor, skipped));
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chaos_cursor AFTER INSERT OR UPDATE ON checkpoints
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.watch_cursor();

CREATE FUNCTION chaos.watch_gap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status = 'recovered' AND OLD.closed_at IS NULL AND NEW.scope ? 'resource_id' AND NOT EXISTS (
        SELECT FROM records AS held WHERE held.connection_id = NEW.connection_id AND held.stream = NEW.stream
            AND held.key = NEW.scope ->> 'resource_id' AND held.deleted_at IS NULL) THEN
        INSERT INTO chaos.violations (what) VALUES (format(
            'gap %s of %s %s was closed without its record', NEW.id, NEW.stream, NEW.scope ->> 'resource_id'));
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER chaos_gap AFTER UPDATE ON gaps
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chaos.watch_gap();
"""


def install(connection: psycopg.Connection) -> None:
    """Begin to watch a migrated database."""
    connection.execute(INSTALL)
