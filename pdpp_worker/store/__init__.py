"""PostgreSQL: the tables, their migrations, and every SQL statement of the program."""
