"""Campaigns: programs that try for hours what the tests try once; not collected, each run on request with its size.

    python -m tests.campaigns.kills --runs 100
    python -m tests.campaigns.mutations --cases 1000000
    python -m tests.campaigns.disks
    python -m tests.campaigns.locales

Each ends with its figures, and with 1 where anything was not as it should be. All work in folders of their own.
"""
