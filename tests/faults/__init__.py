"""The fault catalogue: what nothing may be lost to, done to real servers and real processes.

Every scenario is a function that takes a count and a seed. The counts come from `rounds(full,
quick)`: a plain `pytest` runs the quick ones, the full ones run with the environment variable
FAULTS=full or with `pytest -m faults`. FAULTS_SEED=<int> repeats a run with other dice.

- `test_log_model`: the log against a dict, by hypothesis (1)
- `test_log_writers`: many writers and readers, open transactions, no connections left, a clock
  that is wrong (2, 3, 16)
- `test_log_connection`: the connection cut around COMMIT (4)
- `test_log_crash`: a writing process killed, PostgreSQL stopped at once (5, 6)
- `test_workers`: workers killed, frozen, competing (7, 9, 10)
- `test_redis`: Redis killed, emptied, restored from an old copy (8)
- `test_read_models`: indigestible events, pages of any size, positions, lost news (12 to 15)

Always checked: what was acknowledged is stored, `tests.reports.check_log`, and (`oracle`) that
every read model equals the pure fold of the log.
"""
