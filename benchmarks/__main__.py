"""Measure Errata: `python -m benchmarks`; see `--help`."""

if __name__ == "__main__":
    # Not at the top: the load generator's process imports this file as well, and shall stay small.
    from benchmarks.runner import main

    main()
